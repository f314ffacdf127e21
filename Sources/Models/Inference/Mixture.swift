import Corpus
import Foundation

/// Models of one vocabulary whose probabilities are added, each with its weight, and perhaps a cache of the newest tokens.
public struct Mixture {
  public struct Component {
    public let model: SavedModel
    /// Its share of the whole.
    public var weight: Double

    public init(_ model: SavedModel, weight: Double) {
      self.model = model
      self.weight = weight
    }
  }

  /// The newest tokens as a model.
  public struct Cache: Equatable, Sendable {
    /// Tokens that it holds.
    public var size: Int
    public var weight: Double

    public init(size: Int, weight: Double) {
      self.size = size
      self.weight = weight
    }
  }

  public private(set) var components: [Component]
  public private(set) var cache: Cache?

  /// Weights are above 0, and are brought to sum to 1. Throws `MixtureError` for another vocabulary than that of the first.
  public init(_ components: [Component], cache: Cache? = nil) throws(MixtureError) {
    precondition(!components.isEmpty && components.allSatisfy { $0.weight > 0 } && cache?.weight ?? 1 > 0)
    let first = components[0].model
    for other in components.dropFirst() {
      if let difference = first.tokenizer.vocabulary.difference(from: other.model.tokenizer.vocabulary) {
        throw MixtureError(
          "\(other.model.path): expected the vocabulary of \(first.path), but \(difference); make both models of the same "
            + "text, or give one the vocabulary of the other")
      }
    }
    let sum = components.reduce(cache?.weight ?? 0) { $0 + $1.weight }
    self.components = components.map { Component($0.model, weight: $0.weight / sum) }
    self.cache = cache.map { Cache(size: $0.size, weight: $0.weight / sum) }
  }

  /// Those of the components, then that of the cache.
  var weights: [Double] {
    get { components.map(\.weight) + [cache?.weight].compactMap { $0 } }
    set {
      for place in components.indices { components[place].weight = newValue[place] }
      cache?.weight = newValue[components.count]
    }
  }

  /// p of a token of which the components, and the cache where it has tokens, say these.
  func p(_ ofComponents: some Sequence<Double>, _ ofCache: Double?) -> Double {
    let sum = zip(components, ofComponents).reduce(0) { $0 + $1.0.weight * $1.1 }
    guard let cache else { return sum }
    // An empty cache leaves its share to the others.
    return ofCache.map { sum + cache.weight * $0 } ?? sum / (1 - cache.weight)
  }
}

/// Models that cannot be mixed, or a file that describes no mixture.
public struct MixtureError: Error, Equatable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

extension Vocabulary {
  /// What is first different in another; nil where nothing is.
  fileprivate func difference(from other: Vocabulary) -> String? {
    if kind != other.kind { return "one is of \(kind.rawValue), the other of \(other.kind.rawValue)" }
    func text(_ vocabulary: Vocabulary, _ token: Int) -> String {
      "'\(String(decoding: vocabulary.bytes(of: Int32(token)), as: UTF8.self))'"
    }
    for token in 0..<min(count, other.count)
    where !bytes(of: Int32(token)).elementsEqual(other.bytes(of: Int32(token))) {
      return "token \(token) is \(text(self, token)) in one and \(text(other, token)) in the other"
    }
    return count == other.count ? nil : "one has \(count) tokens, the other \(other.count)"
  }
}

/// A mixture as a predictor.
final class MixturePredictor: Predictor {
  private let mixture: Mixture
  private let predictors: [AnyPredictor]
  private var sums: [Double]

  /// Throws `KernelError`.
  init(_ mixture: Mixture) throws {
    self.mixture = mixture
    predictors = try mixture.components.map { AnyPredictor(try $0.model.makePredictor()) }
    sums = [Double](repeating: 0, count: predictors[0].vocabularySize)
    output = .allocate(capacity: predictors[0].vocabularySize)
  }

  deinit { output.deallocate() }

  final class Context {
    fileprivate let contexts: [Any]
    fileprivate var cache: TokenCache?
    /// Whether a token has been read: the first only begins a text, and is in no cache.
    fileprivate var hasBegun = false

    fileprivate init(_ contexts: [Any], _ cache: TokenCache?) {
      self.contexts = contexts
      self.cache = cache
    }
  }

  var vocabularySize: Int { sums.count }
  private let output: UnsafeMutableBufferPointer<Float>

  func makeContext() throws -> Context {
    Context(try predictors.map { try $0.makeContext() }, mixture.cache.map { TokenCache(size: $0.size) })
  }

  func copy(of context: Context) throws -> Context {
    let copy = Context(try zip(predictors, context.contexts).map { try $0.copy(of: $1) }, context.cache)
    copy.hasBegun = context.hasBegun
    return copy
  }

  func advance(_ context: Context, by token: Int32) throws {
    for (predictor, own) in zip(predictors, context.contexts) { try predictor.advance(own, by: token) }
    if context.hasBegun { context.cache?.add(token) }
    context.hasBegun = true
  }

  func logits(after context: Context) throws -> UnsafeBufferPointer<Float> {
    for token in sums.indices { sums[token] = 0 }
    for ((predictor, own), component) in zip(zip(predictors, context.contexts), mixture.components) {
      let logits = try predictor.logits(after: own)
      let largest = Double(logits.max() ?? 0)
      let total = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
      for token in sums.indices { sums[token] += component.weight * exp(Double(logits[token]) - largest) / total }
    }
    if let cache = context.cache, cache.count > 0 {
      let share = mixture.cache!.weight / Double(cache.count)
      for (token, count) in cache.counts { sums[Int(token)] += share * Double(count) }
    }
    // Logits share a number: an empty cache leaves its share to the others by itself.
    for token in sums.indices { output[token] = Float(log(sums[token])) }
    return UnsafeBufferPointer(output)
  }

  func losses(of texts: [[Int32]]) throws -> [[Double]] {
    let all = try predictors.map { try $0.losses(of: texts) }
    return texts.enumerated().map { place, text in
      var cache = mixture.cache.map { TokenCache(size: $0.size) }
      return text.dropFirst().enumerated().map { index, token in
        let p = mixture.p(all.map { exp(-$0[place][index]) }, cache?.p(token))
        cache?.add(token)
        return -log(p)
      }
    }
  }
}
