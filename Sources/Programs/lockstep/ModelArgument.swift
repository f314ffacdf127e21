import ArgumentParser
import Foundation
import Hosts
import Inference
import Kernels
import Runs
import Terminal

/// A model to use, perhaps with others mixed in.
struct ModelArgument: ParsableArguments {
  @Argument(
    help:
      "A model file (.h5, .safetensors, .ngrams, .arpa), a mixture (.yaml), a checkpoint, or a run's folder (its newest checkpoint).",
    completion: .file(extensions: ["h5", "safetensors", "ngrams", "arpa", "yaml"]))
  var model: String

  func open() throws -> SavedModel { try Self.open(model) }

  fileprivate static func open(_ path: String) throws -> SavedModel {
    try SavedModel(path) { Console.warn("passed over \($0)") }
  }

  /// Computes with all threads. First of all: see `limitSpinning`.
  static func useAllThreads() {
    if OneDNN.threads > 1 { limitSpinning() }
    if let warning = MachineCores().warning(threads: OneDNN.threads) { Console.warn(warning) }
  }
}

/// A model to compute with, which others and a cache may be mixed with.
struct MixedModelArgument: ParsableArguments {
  @OptionGroup var model: ModelArgument

  @Option(
    help: ArgumentHelp(
      "Mixes in another model of the same vocabulary, with a share above 0 and below 1; may be given several times.",
      valueName: "model=share"), completion: .file())
  var mix: [MixShare] = []

  @Option(
    help: ArgumentHelp(
      "Mixes in the newest tokens of the text, so many of them, with a share of the whole.", valueName: "tokens:share"))
  var cache: CacheShare?

  func validate() throws {
    let sum = mix.reduce(cache?.cache.weight ?? 0) { $0 + $1.share }
    guard sum < 1 else {
      throw ValidationError(
        "the shares of --mix and --cache sum to \(sum); expected less than 1, so that the model has one")
    }
  }

  private func open() throws -> SavedModel {
    let own = try model.open()
    if mix.isEmpty && cache == nil { return own }
    let rest = 1 - mix.reduce(cache?.cache.weight ?? 0) { $0 + $1.share }
    // What is a mixture already is taken apart.
    func components(_ saved: SavedModel, _ share: Double) throws -> [Mixture.Component] {
      guard case .mixture(let mixture) = saved.contents else { return [Mixture.Component(saved, weight: share)] }
      guard mixture.cache == nil else {
        throw ValidationError(
          "\(saved.path) has a cache; expected a mixture without one where --mix or --cache is given")
      }
      return mixture.components.map { Mixture.Component($0.model, weight: $0.weight * share) }
    }
    let all = try components(own, rest) + mix.flatMap { try components(ModelArgument.open($0.model), $0.share) }
    return SavedModel(try Mixture(all, cache: cache?.cache), path: own.path)
  }

  /// Opens it to compute with, with all threads.
  func openToCompute() throws -> SavedModel {
    ModelArgument.useAllThreads()
    return try open()
  }

  /// Opens it to read or write one text: too little work to be shared by threads, which would wait for each other, unless the
  /// environment says how many there are to be.
  func openForOneStream() throws -> SavedModel {
    if ProcessInfo.processInfo.environment["OMP_NUM_THREADS"] != nil { return try openToCompute() }
    try OneDNN.setThreads(1)
    return try open()
  }
}

/// `words.ngrams=0.3`.
struct MixShare: ExpressibleByArgument {
  let model: String
  let share: Double

  init?(argument: String) {
    guard let place = argument.lastIndex(of: "="), let share = Double(argument[argument.index(after: place)...]),
      share > 0, share < 1, place != argument.startIndex
    else { return nil }
    (model, self.share) = (String(argument[..<place]), share)
  }
}

/// `500:0.1`.
struct CacheShare: ExpressibleByArgument {
  let cache: Mixture.Cache

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let size = Int(parts[0]), let share = Double(parts[1]), size > 0, size <= Int(Int32.max),
      share > 0, share < 1
    else { return nil }
    cache = Mixture.Cache(size: size, weight: share)
  }
}
