import Corpus
import Kernels
import Networks

/// How probable a model finds a line.
public struct LineScore: Sendable {
  public struct Token: Sendable {
    public let id: Int32
    /// The bytes it adds to the line.
    public let text: [UInt8]
    /// ln p of it after those before.
    public let logProbability: Double
  }

  /// A character that the vocabulary lacks, which makes a line impossible.
  public struct Impossible: Equatable, Sendable {
    public let character: Unicode.Scalar
    /// Its place among the characters of the line, from 1.
    public let position: Int
  }

  /// ln p of the line: the sum over its tokens. Minus infinity if it is impossible.
  public let logProbability: Double
  /// Tokens it is the sum over.
  public let predictions: Int
  /// Words that the vocabulary lacks, scored as `<unk>`; or characters, which make a line impossible.
  public let unknown: Int
  /// The first of those characters.
  public let impossible: Impossible?
  /// Empty if they were not asked for, and of an impossible line.
  public let tokens: [Token]

  /// The same for each token.
  public var meanLogProbability: Double { logProbability / Double(max(predictions, 1)) }
}

/// Scores lines, each by itself: it begins after the end of a line and ends with one, whatever stands beside it.
/// Without `begin` its first token is only read; without `end` its end does not count.
public final class LineScorer {
  private let saved: SavedModel
  private let tokenizer: Tokenizer
  private let begin: Bool
  private let end: Bool
  private let state: RecurrentState
  /// Models for windows of so many tokens: long ones read the output layer's weights once for many, short ones waste
  /// little on the end of a line.
  private var models: [Int: LanguageModel] = [:]

  private static let windows = [64, 16, 4]

  /// Throws `KernelError`.
  public init(_ saved: SavedModel, begin: Bool = true, end: Bool = true) throws {
    self.saved = saved
    tokenizer = saved.tokenizer
    self.begin = begin
    self.end = end
    state = try RecurrentState(saved.shape, lanes: 1)
  }

  /// The score of a line, given without its end; `source` names it in errors. In a vocabulary of characters without line
  /// ends, a line begins after token 0, as where text is written, and has no end. Throws `CorpusError` for what is not
  /// UTF-8, and `KernelError`.
  public func score(_ line: [UInt8], source: String, withTokens: Bool) throws -> LineScore {
    let vocabulary = tokenizer.vocabulary
    if vocabulary.kind != .bytes {
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CorpusError(source, "expected UTF-8, found other bytes", remedy: "convert the text to UTF-8")
      }
      if vocabulary.kind == .characters, let score = impossible(text) { return score }
    }
    let (first, last) = (begin ? vocabulary.lineStart : nil, end ? vocabulary.lineEnd : nil)
    let tokens =
      try [first].compactMap { $0 } + tokenizer.encode(line, source: source, isLine: true) + [last].compactMap { $0 }
    let losses = try losses(of: tokens)
    let scored =
      !withTokens
      ? []
      : zip(tokens.dropFirst(), losses).enumerated().map { index, pair in
        LineScore.Token(id: pair.0, text: tokenizer.piece(for: pair.0, after: tokens[index]), logProbability: -pair.1)
      }
    return LineScore(
      logProbability: 0 - losses.reduce(0, +), predictions: losses.count,
      unknown: vocabulary.kind == .words ? tokens.count { $0 == Vocabulary.unknown } : 0, impossible: nil,
      tokens: scored)
  }

  /// The score of a line with characters that the vocabulary lacks; nil if it has none.
  private func impossible(_ text: String) -> LineScore? {
    var unknown = 0
    var first: LineScore.Impossible?
    for (index, scalar) in text.unicodeScalars.enumerated()
    where tokenizer.vocabulary.id(of: String(scalar).utf8) == nil {
      unknown += 1
      if first == nil { first = LineScore.Impossible(character: scalar, position: index + 1) }
    }
    guard let first else { return nil }
    return LineScore(logProbability: -.infinity, predictions: 0, unknown: unknown, impossible: first, tokens: [])
  }

  /// -ln p of every token but the first, from zero state; none of fewer than two.
  private func losses(of tokens: [Int32]) throws -> [Double] {
    state.clear()
    var all: [Double] = []
    while all.count < tokens.count - 1 {
      let left = tokens.count - 1 - all.count
      // The shortest window that holds all that is left; else the longest.
      let window = Self.windows.last { $0 >= left } ?? Self.windows[0]
      all += try losses(tokens[all.count...].prefix(window + 1), window: window)
    }
    return all
  }

  /// The same for a stretch of up to `window` + 1 tokens, after what was read before.
  private func losses(_ tokens: ArraySlice<Int32>, window: Int) throws -> [Double] {
    let padding = [Int32](repeating: Window.ended, count: window - (tokens.count - 1))
    let inputs = tokens.dropLast() + padding.map { _ in 0 }
    let targets = tokens.dropFirst() + padding
    var losses = [Double](repeating: 0, count: window)
    let model = try model(window)
    try inputs.withUnsafeBufferPointer { inputs in
      try targets.withUnsafeBufferPointer { targets in
        try losses.withUnsafeMutableBufferPointer {
          try model.evaluate(inputs: inputs, targets: targets, state: state, losses: $0)
        }
      }
    }
    return Array(losses.prefix(tokens.count - 1))
  }

  private func model(_ window: Int) throws -> LanguageModel {
    if let model = models[window] { return model }
    let model = try LanguageModel(
      saved.shape, vocabularySize: tokenizer.vocabulary.count, parameters: saved.model.parameters, steps: window,
      lanes: 1, purpose: .inference)
    models[window] = model
    return model
  }
}
