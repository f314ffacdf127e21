import Corpus
import Foundation
import Networks

/// A token that may come next.
public struct NextToken: Sendable {
  public let id: Int32
  /// What it adds to the prompt.
  public let text: [UInt8]
  public let logit: Float
  public let probability: Double
}

extension SavedModel {
  /// Every token of the vocabulary with its probability after a prompt, the most probable first; of equals, the first in the
  /// vocabulary. Throws `CorpusError` for a prompt that the model cannot read, and `KernelError`.
  public func nextTokens(after prompt: Prompt) throws -> [NextToken] {
    let tokens = try prompt.tokens(tokenizer)
    let logits = try makePredictor().logits(afterReading: tokens)
    let largest = Double(logits.max() ?? 0)
    let weights = logits.map { exp(Double($0) - largest) }
    let total = weights.reduce(0, +)
    let previous = prompt.previous(tokens)
    return logits.indices.sorted { logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1] }.map {
      NextToken(
        id: Int32($0), text: tokenizer.piece(for: Int32($0), after: previous), logit: logits[$0],
        probability: weights[$0] / total)
    }
  }
}

extension Predictor {
  /// Logits after some tokens that a text begins with.
  func logits(afterReading tokens: [Int32]) throws -> [Float] {
    let context = try makeContext()
    for token in tokens { try advance(context, by: token) }
    return Array(try logits(after: context))
  }
}
