import Checkpoints
import Corpus
import Files
import Foundation
import HDF5Files
import Runs
import Terminal

/// What a run has left on disk to look back at: how it went and, where there is a checkpoint, what it was.
struct RunRecord {
  /// As it was given.
  let path: String
  /// Short, and different from those of the runs it is shown with.
  let name: String
  let curves: Curves
  /// Of the newest checkpoint, or of the one that was given; nil of a file with curves alone.
  let card: ModelMetadata?

  /// Reads runs, each given as a run's folder, its `curves.h5` or a checkpoint. `needsCard` says whether their
  /// checkpoints, which may be large, are worth reading for more than curves. Throws what reading throws.
  static func read(_ paths: [String], needsCard: Bool) throws -> [RunRecord] {
    try zip(paths, names(of: paths)).map { try RunRecord($0, name: $1, needsCard: needsCard) }
  }

  private init(_ path: String, name: String, needsCard: Bool) throws {
    self.path = path
    self.name = name
    (curves, card) =
      try FileSystem.status(path).isDirectory
      ? Self.read(folder: path, needsCard: needsCard) : Self.read(file: path)
  }

  private static func read(file path: String) throws -> (Curves, ModelMetadata?) {
    do {
      let file = try CheckpointFile(path)
      return (try file.readCurves(), file.card)
    } catch let error as HDF5Error where error.reason == .otherKind {
      return (try Curves(path: path), nil)
    }
  }

  /// The curves' own file and the checkpoints tell the same: where one cannot be read, the other will do.
  private static func read(folder: String, needsCard: Bool) throws -> (Curves, ModelMetadata?) {
    let path = "\(folder)/curves.h5"
    let own = FileSystem.exists(path) ? Result { try Curves(path: path) } : nil
    if !needsCard, case .success(let curves)? = own { return (curves, nil) }
    let file = try CheckpointStore(folder).newest { warn("\($1)") }
    switch (own, file) {
    case (.success(let curves)?, _): return (curves, file?.card)
    case (.failure(let error)?, nil): throw error
    case (.failure(let error)?, let file?):
      warn("\(error)")
      return (try file.readCurves(), file.card)
    case (nil, let file?): return (try file.readCurves(), file.card)
    case (nil, nil): throw RunRecordError.nothingFound(folder: folder)
    }
  }

  private static func warn(_ problem: String) { Console.error("warning: passed over \(problem)\n") }

  // MARK: - Names

  /// The names of the folders; where those are the same, as much of the paths as tells them apart.
  static func names(of paths: [String]) -> [String] {
    let parts = paths.map { path in
      var parts = URL(fileURLWithPath: path).standardizedFileURL.pathComponents.filter { $0 != "/" }
      if parts.count > 1 && parts.last == "curves.h5" { parts.removeLast() }
      return parts
    }
    // A checkpoint by itself says little: with its folder.
    var lengths = parts.map { $0.last?.hasSuffix(".h5") == true ? 2 : 1 }
    func names() -> [String] { zip(parts, lengths).map { $0.suffix($1).joined(separator: "/") } }
    for _ in 0..<(parts.map(\.count).max() ?? 0) {
      let now = names()
      for index in now.indices where now.count(where: { $0 == now[index] }) > 1 { lengths[index] += 1 }
    }
    // What was given twice.
    var seen: [String: Int] = [:]
    return names().map { name in
      seen[name, default: 0] += 1
      return seen[name] == 1 ? name : "\(name) (\(seen[name, default: 1]))"
    }
  }

  // MARK: - What the curves tell

  /// Nil where nothing tells it: of curves alone, before the end of the first epoch.
  var stepsPerEpoch: Double? {
    if let card {
      let training = card.configuration.training
      if let layout = try? card.configuration.laneLayout(tokens: card.corpus.trainingTokens) {
        return Double(training.steps(ofBatches: layout.windowsPerEpoch))
      }
    }
    let isPastFirst = curves.training.contains { $0.epoch > 1 } || curves.validation.contains { $0.epoch > 0 }
    // The last row of an epoch ends where the epoch does; all others have made a smaller part of theirs.
    return isPastFirst ? curves.training.map { Double($0.step) / Double(max($0.epoch, 1)) }.max() : nil
  }

  /// In the mean, which is that of each step but where windows differ; nil before the first.
  var tokensPerStep: Double? {
    curves.training.last.flatMap { $0.step > 0 ? Double($0.tokens) / Double($0.step) : nil }
  }
}

extension Curves {
  /// Seconds spent on training, of the rows that tell, and the tokens learned from in them.
  var work: (seconds: Double, tokens: Int) {
    var sum = (seconds: partial.seconds, tokens: partial.tokens)
    var before = 0
    for row in training {
      if row.tokensPerSecond > 0 && row.tokensPerSecond.isFinite {
        sum.seconds += Double(row.tokens - before) / row.tokensPerSecond
        sum.tokens += row.tokens - before
      }
      before = row.tokens
    }
    return sum
  }
}

/// A folder that is no run's.
enum RunRecordError: Error, CustomStringConvertible, Equatable {
  case nothingFound(folder: String)

  var description: String {
    switch self {
    case .nothingFound(let folder):
      "\(folder): expected a run's folder, with curves.h5 or a checkpoint (step-….h5), found neither; check the path"
    }
  }
}
