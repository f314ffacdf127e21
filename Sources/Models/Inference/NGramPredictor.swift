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
      return Array(
        unsafeUninitializedCapacity: text.count - 1
      ) { losses, count in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: text.count) { results in
          withUnsafeTemporaryAllocation(of: UInt8.self, capacity: text.count) { orders in
            text.withUnsafeBufferPointer {
              model.score(UnsafeBufferPointer(rebasing: $0.dropFirst()), after: &state, results, orders: orders)
            }
          }
          count = text.count - 1
          for place in 0..<count { losses.initializeElement(at: place, to: -Double(results[place]) * M_LN10) }
        }
      }
    }
  }

  private static let natsOfLog10 = Float(M_LN10)
}
