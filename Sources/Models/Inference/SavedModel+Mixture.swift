import Corpus
import Files
import Foundation
import Training

/// What the models of a mixture say of the tokens of a text, in order.
struct MixedLosses {
  /// Those that all models predict, each with its place.
  let places: [Int]
  let tokens: [Int32]
  /// Of each model, p of each of these tokens.
  let p: [[Double]]
  /// Share of each token among the newest before it; nil where there are none. Empty without a cache.
  let cache: [Double?]
  let unknownTokens: Int
  let characters: Int
}

extension SavedModel {
  func evaluate(
    _ mixture: Mixture, _ file: InputFile, lanes: Int, _ progress: (String, Int, Int) -> Void,
    _ each: ((TokenLoss) throws -> Void)?
  ) throws -> TextEvaluation {
    let losses = try self.losses(mixture, file, lanes: lanes, progress)
    var (all, unknown) = ((count: 0, nats: 0.0), (count: 0, nats: 0.0))
    for (index, token) in losses.tokens.enumerated() {
      let p = mixture.p(losses.p.lazy.map { $0[index] }, losses.cache.isEmpty ? nil : losses.cache[index])
      all = (all.count + 1, all.nats - log(p))
      if token == Vocabulary.unknown, tokenizer.vocabulary.kind == .words {
        unknown = (unknown.count + 1, unknown.nats - log(p))
      }
      try each?(TokenLoss(place: losses.places[index], token: token, loss: -log(p), order: nil))
    }
    return TextEvaluation(
      evaluation: Evaluation(predictions: all.count, nats: all.nats),
      withoutUnknown: Evaluation(predictions: all.count - unknown.count, nats: all.nats - unknown.nats),
      characters: losses.characters, unknownTokens: losses.unknownTokens, orders: [])
  }

  /// Each model reads the text in turn.
  func losses(
    _ mixture: Mixture, _ file: InputFile, lanes: Int, _ progress: (String, Int, Int) -> Void
  ) throws -> MixedLosses {
    var tokens: [Int: Int32] = [:]
    var losses: [[Int: Double]] = []
    var (unknown, characters) = (0, Int.max)
    for (number, component) in mixture.components.enumerated() {
      var own: [Int: Double] = [:]
      let evaluation = try component.model.evaluate(
        file, lanes: lanes, progress: { progress("\($0) (model \(number + 1) of \(mixture.components.count))", $1, $2) }
      ) {
        own[$0.place] = $0.loss
        tokens[$0.place] = $0.token
      }
      losses.append(own)
      (unknown, characters) = (evaluation.unknownTokens, min(characters, evaluation.characters))
    }
    let read = tokens.keys.sorted()
    // What one of them has only read is in the cache all the same.
    var cache = mixture.cache.map { TokenCache(size: $0.size) }
    var (places, shares): ([Int], [Double?]) = ([], [])
    for place in read {
      if losses.allSatisfy({ $0[place] != nil }) {
        places.append(place)
        if let cache { shares.append(cache.p(tokens[place]!)) }
      }
      cache?.add(tokens[place]!)
    }
    return MixedLosses(
      places: places, tokens: places.map { tokens[$0]! }, p: losses.map { own in places.map { exp(-own[$0]!) } },
      cache: shares, unknownTokens: unknown, characters: characters)
  }

  /// The mixture with the weights under which a text is most probable, by expectation maximization, and its perplexity then.
  /// This model is a mixture. Throws what evaluating throws.
  public func tuned(
    on file: InputFile, lanes: Int = 1, progress: (_ phase: String, _ done: Int, _ total: Int) -> Void = { _, _, _ in }
  ) throws -> (mixture: Mixture, perplexity: Double, predictions: Int) {
    guard case .mixture(var mixture) = contents else { preconditionFailure("not a mixture") }
    let losses = try self.losses(mixture, file, lanes: lanes, progress)
    let count = losses.tokens.count
    var nats = Double.infinity
    for _ in 0..<Self.mostRounds {
      var responsible = [Double](repeating: 0, count: mixture.weights.count)
      var sum = 0.0
      let weights = mixture.weights
      for index in 0..<count {
        let cache = losses.cache.isEmpty ? nil : losses.cache[index]
        let own = losses.p.map { $0[index] }
        let p = mixture.p(own, cache)
        sum -= log(p)
        // Where a cache is empty, nothing tells what it is worth.
        let scale = mixture.cache != nil && cache == nil ? 1 - weights[own.count] : 1
        for (place, value) in own.enumerated() { responsible[place] += weights[place] * value / p / scale }
        if let cache { responsible[own.count] += weights[own.count] * cache / p }
      }
      let total = responsible.reduce(0, +)
      mixture.weights = responsible.map { max($0 / total, Self.leastWeight) }
      if nats - sum < Self.leastGain * Double(count) {
        nats = sum
        break
      }
      nats = sum
    }
    return (mixture, exp(nats / Double(count)), count)
  }

  private static let mostRounds = 200
  /// In nats per token.
  private static let leastGain = 1e-7
  private static let leastWeight = 1e-6
}
