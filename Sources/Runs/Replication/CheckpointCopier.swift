import Checkpoints
import Files
import Foundation
import HDF5Files

/// Copies a run's checkpoints to another host while training goes on, on the first rank.
///
/// Each round copies the newest that is safe here, the best, and the curves, as far as they are not there already, and lets
/// those go there that are gone here. What is saved meanwhile is of the next round.
public final class CheckpointCopier {
  /// How a round went.
  public struct Outcome: Equatable {
    public let step: Int
    public let bytes: Int
    public let seconds: Double
    /// Why it did not come to its end.
    public var error: String?
  }

  /// The host the copies are on.
  public let host: String
  private let store: CheckpointStore
  private let sender: FileSender
  /// Digests of the checkpoints that are there, by step.
  private var held: [Int: String]
  private var news: (step: Int, best: Int?)?
  private var round: Round?
  /// How long an answer is waited for once what is under way has been given up.
  var answerSeconds = 10.0
  /// Whether the other side has not answered by then: no more goes there.
  private var isDeaf = false

  private enum Task {
    case checkpoint(Int)
    case curves
    case keep

    /// Of a checkpoint.
    var step: Int? { if case .checkpoint(let step) = self { step } else { nil } }
  }

  private struct Round {
    let step: Int
    let best: Int?
    let begun = ContinuousClock.now
    var bytes = 0
    var tasks: [Task] = [.keep]
    /// Of the file under way.
    var digest: String?
  }

  public init(_ store: CheckpointStore, _ sender: FileSender, host: String, held: [Int: String]) {
    self.store = store
    self.sender = sender
    self.host = host
    self.held = held
  }

  /// A checkpoint is safe here; `best` is the step of the best one.
  public func saved(step: Int, best: Int?) { news = (step, best) }

  /// Whether all that is safe here is there, or nothing more can go there.
  var isIdle: Bool { isDeaf || round == nil && news == nil }

  /// Moves along what is under way, without waiting. Returns how a round went that has come to its end.
  public func move() throws -> Outcome? {
    guard !isDeaf else { return nil }
    if round == nil, let news {
      self.news = nil
      round = Round(step: news.step, best: news.best)
      return try ending {
        try plan()
        return try next()
      }
    }
    guard let answer = try sender.move() else { return nil }
    if let error = answer.error { return finish(error: error) }
    if let step = round?.tasks.removeFirst().step { held[step] = round?.digest }
    return try ending { try next() }
  }

  /// The round ends when `body` says that there is nothing more, and with a file here that cannot be read.
  private func ending(_ body: () throws -> Bool) throws -> Outcome? {
    do {
      return try body() ? nil : finish(error: nil)
    } catch let error as FileError {
      return finish(error: "\(error)")
    } catch let error as HDF5Error {
      return finish(error: "\(error)")
    }
  }

  /// What is to be done in the round; ends it without a word if its checkpoint is neither here nor there.
  private func plan() throws {
    guard let round else { return }
    // Gone since it was saved, so a newer one is the next round's: were others let go now, none might be left there.
    guard held[round.step] != nil || FileSystem.exists(store.path(step: round.step)) else {
      self.round = nil
      return
    }
    var tasks: [Task] = []
    // The best may be gone, where a disk was too small for it.
    for step in [round.step] + [round.best].compactMap({ $0 })
    where FileSystem.exists(store.path(step: step)) && !tasks.contains(where: { $0.step == step }) {
      if try held[step] != CheckpointFile.digest(of: store.path(step: step)) { tasks.append(.checkpoint(step)) }
    }
    if FileSystem.exists(curvesPath), !tasks.isEmpty { tasks.append(.curves) }
    self.round?.tasks = tasks + [.keep]
  }

  private var curvesPath: String { "\(store.directory)/curves.h5" }

  /// Begins the next task; says whether there was one.
  private func next() throws -> Bool {
    guard let round, let task = round.tasks.first else { return false }
    switch task {
    case .checkpoint(let step): try start(store.path(step: step), CheckpointFile.digest(of: store.path(step: step)))
    case .curves: try start(curvesPath, nil)
    case .keep:
      let steps = try Set(store.steps()).union([round.step]).union([round.best].compactMap { $0 })
      held = held.filter { steps.contains($0.key) }
      try sender.keep(steps.sorted())
    }
    return true
  }

  private func start(_ path: String, _ digest: String?) throws {
    round?.bytes += try FileSystem.status(path).size
    round?.digest = digest
    try sender.start(path)
  }

  private func finish(error: String?) -> Outcome? {
    guard let round else { return nil }
    self.round = nil
    return Outcome(
      step: round.step, bytes: round.bytes, seconds: (.now - round.begun) / .seconds(1), error: error)
  }

  /// Waits, asleep in between, until all that is safe here is there, but so many seconds at most; then what is under way is
  /// given up, if `abandons`, and `answerSeconds` later no answer is waited for either. Once `isHurried`, the time is
  /// `hurriedSeconds` from then on. Returns how rounds went.
  public func settle(
    seconds: Double, abandons: Bool, hurriedSeconds: Double = .infinity, isHurried: () -> Bool = { false }
  ) throws -> [Outcome] {
    var deadline = ContinuousClock.now + .seconds(seconds)
    var hasHurried = false
    var outcomes: [Outcome] = []
    var end: ContinuousClock.Instant?
    let reason = "it took over \(Int(seconds)) s at the end of the run"
    while !isIdle {
      if let outcome = try move() { outcomes.append(outcome) }
      if !hasHurried, isHurried() {
        hasHurried = true
        deadline = min(deadline, .now + .seconds(hurriedSeconds))
      }
      if let end, .now > end, !isIdle {
        // A write there may never return. What is on its way is the link's, which keeps it for as long as need be.
        isDeaf = true
        try sender.abandon(because: reason)  // a file begun since
        let silence = "\(host) gave no answer for \(Int(answerSeconds)) s after that"
        if let outcome = finish(error: "\(reason), and \(silence)") { outcomes.append(outcome) }
      } else if end == nil && .now > deadline {
        guard abandons else { break }
        end = ContinuousClock.now + .seconds(answerSeconds)
        news = nil
        try sender.abandon(because: reason)
      }
      if !isIdle { usleep(1000) }
    }
    return outcomes
  }

  /// Lets the other side go on with other things. It takes all that was sent, even where its disk takes none of it.
  public func sayOver() throws { try sender.sayOver() }
}
