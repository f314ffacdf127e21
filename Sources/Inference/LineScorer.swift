import Corpus
import Kernels
import Model

/// How probable a model finds a line.
public struct LineScore: Sendable {
  public struct Token: Sendable {
    public let id: Int32
    /// The bytes it adds to the line.
    public let text: [UInt8]
    /// ln p of it after those before.
    public let logProbability: Double
  }

  public let tokens: [Token]
  /// Words that the vocabulary lacks, scored as `<unk>`; or characters, which make a line impossible.
  public let unknown: Int
  /// Whether a character is unknown: such a line has no probability and no tokens.
  public let isImpossible: Bool

  /// ln p of the line, its end included: the sum over its tokens.
  public var logProbability: Double {
    isImpossible ? -.infinity : tokens.reduce(0) { $0 + $1.logProbability }
  }
  /// The same for each token.
  public var meanLogProbability: Double {
    isImpossible ? -.infinity : logProbability / Double(max(tokens.count, 1))
  }
}

/// Scores lines, each by itself: it begins after the end of a line and ends with one, whatever stands beside it.
public final class LineScorer {
  private let tokenizer: Tokenizer
  private let model: LanguageModel
  private let state: RecurrentState
  /// What every line begins after and ends with; nil in a vocabulary of characters without line ends.
  private let lineEnd: Int32?

  /// Tokens read in one go: enough to read the output layer's weights once for many, and few that are not needed.
  private static let steps = 16

  /// Throws `KernelError`.
  public init(_ saved: SavedModel) throws {
    tokenizer = saved.tokenizer
    model = try LanguageModel(
      saved.shape, vocabularySize: tokenizer.vocabulary.count, parameters: saved.model.parameters, steps: Self.steps,
      lanes: 1, purpose: .inference)
    state = try RecurrentState(saved.shape, lanes: 1)
    lineEnd = tokenizer.vocabulary.lineEnd
  }

  /// The score of a line, given without its end; `source` names it in errors. Without line ends in the vocabulary, the
  /// first token is only read. Throws `CorpusError` for what is not UTF-8, and `KernelError`.
  public func score(_ line: [UInt8], source: String) throws -> LineScore {
    if tokenizer.vocabulary.kind == .characters, let text = String(validating: line, as: UTF8.self) {
      let unknown = text.unicodeScalars.count { tokenizer.vocabulary.id(of: String($0).utf8) == nil }
      if unknown > 0 { return LineScore(tokens: [], unknown: unknown, isImpossible: true) }
    }
    let ends = lineEnd.map { [$0] } ?? []
    let tokens = try ends + tokenizer.encode(line, source: source) + ends
    let losses = try losses(of: tokens)
    let scored = zip(tokens.dropFirst(), losses).enumerated().map { index, pair in
      LineScore.Token(
        id: pair.0, text: tokenizer.piece(for: pair.0, after: tokens[index]), logProbability: -pair.1)
    }
    let isWords = tokenizer.vocabulary.kind == .words
    return LineScore(
      tokens: scored, unknown: isWords ? tokens.count { $0 == Vocabulary.unknown } : 0, isImpossible: false)
  }

  /// -ln p of every token but the first, from zero state.
  private func losses(of tokens: [Int32]) throws -> [Double] {
    state.clear()
    var all: [Double] = []
    var inputs = [Int32](repeating: 0, count: Self.steps)
    var targets = inputs
    for start in stride(from: 0, to: tokens.count - 1, by: Self.steps) {
      let count = min(Self.steps, tokens.count - 1 - start)
      for index in 0..<Self.steps {
        inputs[index] = index < count ? tokens[start + index] : 0
        targets[index] = index < count ? tokens[start + index + 1] : Window.ended
      }
      var losses = [Double](repeating: 0, count: Self.steps)
      try inputs.withUnsafeBufferPointer { inputs in
        try targets.withUnsafeBufferPointer { targets in
          try losses.withUnsafeMutableBufferPointer {
            try model.evaluate(inputs: inputs, targets: targets, state: state, losses: $0)
          }
        }
      }
      all += losses.prefix(count)
    }
    return all
  }
}
