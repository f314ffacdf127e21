import Foundation
import NGramModels

/// An n-gram model as a predictor.
public final class NGramPredictor: Predictor {
  private let model: NGramModel
  private let distribution: UnsafeMutableBufferPointer<Float>

  public init(_ model: NGramModel) {
    self.model = model
    distribution = .allocate(capacity: model.vocabulary.count)
  }

  deinit { distribution.deallocate() }

  public final class Context {
    fileprivate var state: NGramModel.State

    fileprivate init(_ state: NGramModel.State) { self.state = state }
  }

  public var vocabularySize: Int { model.vocabulary.count }

  public func makeContext() -> Context { Context(NGramModel.State()) }
  public func copy(of context: Context) -> Context { Context(context.state) }

  public func advance(_ context: Context, by token: Int32) { _ = model.score(token, after: &context.state) }

  /// These are ln p itself.
  public func logits(after context: Context) -> UnsafeBufferPointer<Float> {
    model.distribution(after: context.state, into: distribution)
    for token in distribution.indices { distribution[token] *= Self.natsOfLog10 }
    return UnsafeBufferPointer(distribution)
  }

  public func losses(of texts: [[Int32]]) -> [[Double]] {
    texts.map { text in
      guard let first = text.first else { return [] }
      var state = NGramModel.State()
      _ = model.score(first, after: &state)
      return text.dropFirst().map { -Double(model.score($0, after: &state).log10) * M_LN10 }
    }
  }

  private static let natsOfLog10 = Float(M_LN10)
}
