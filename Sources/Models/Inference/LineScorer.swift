import Corpus

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
  private let tokenizer: Tokenizer
  private let predictor: any Predictor
  private let begin: Bool
  private let end: Bool

  /// Lines that are best scored at once.
  public static let batchSize = 256

  public convenience init(_ saved: SavedModel, begin: Bool = true, end: Bool = true) throws {
    self.init(saved.tokenizer, try saved.makePredictor(), begin: begin, end: end)
  }

  /// The predictor knows the tokens of the tokenizer's vocabulary.
  public init(_ tokenizer: Tokenizer, _ predictor: any Predictor, begin: Bool = true, end: Bool = true) {
    self.tokenizer = tokenizer
    self.predictor = predictor
    self.begin = begin
    self.end = end
  }

  /// The score of a line, given without its end; `source` names it in errors. In a vocabulary of characters without line
  /// ends, a line begins after token 0, as where text is written, and has no end. Throws `CorpusError` for what is not
  /// UTF-8, and `KernelError`.
  public func score(_ line: [UInt8], source: String, withTokens: Bool) throws -> LineScore {
    try score([(line, source)], withTokens: withTokens)[0].get()
  }

  /// The same of many lines. What is wrong with one of them is its result; throws `KernelError`.
  public func score(
    _ lines: [(text: [UInt8], source: String)], withTokens: Bool
  ) throws -> [Result<LineScore, any Error>] {
    let read = lines.map { line in Result { try self.read(line.text, source: line.source) } }
    var sequences: [[Int32]] = []
    for case .success(.tokens(let tokens)) in read { sequences.append(tokens) }
    var losses = try predictor.losses(of: sequences)[...]
    return read.map { result in
      result.map { line in
        switch line {
        case .impossible(let score): score
        case .tokens(let tokens): score(tokens, losses.removeFirst(), withTokens: withTokens)
        }
      }
    }
  }

  private enum Line {
    case tokens([Int32])
    case impossible(LineScore)
  }

  private func read(_ line: [UInt8], source: String) throws -> Line {
    let vocabulary = tokenizer.vocabulary
    if vocabulary.kind != .bytes {
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CorpusError(source, "expected UTF-8, found other bytes", remedy: "convert the text to UTF-8")
      }
      if vocabulary.kind == .characters, let score = impossible(text) { return .impossible(score) }
    }
    let (first, last) = (begin ? vocabulary.lineStart : nil, end ? vocabulary.lineEnd : nil)
    return .tokens(
      try [first].compactMap { $0 } + tokenizer.encode(line, source: source, isLine: true) + [last].compactMap { $0 })
  }

  private func score(_ tokens: [Int32], _ losses: [Double], withTokens: Bool) -> LineScore {
    let scored =
      !withTokens
      ? []
      : zip(tokens.dropFirst(), losses).enumerated().map { index, pair in
        LineScore.Token(id: pair.0, text: tokenizer.piece(for: pair.0, after: tokens[index]), logProbability: -pair.1)
      }
    return LineScore(
      logProbability: 0 - losses.reduce(0, +), predictions: losses.count,
      unknown: tokenizer.vocabulary.kind == .words ? tokens.count { $0 == Vocabulary.unknown } : 0, impossible: nil,
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
}
