import Corpus

/// The text that a model reads before it writes.
public struct Prompt: Sendable {
  /// UTF-8; for a model of bytes, any bytes. May be empty.
  public let text: [UInt8]
  /// Whether the text begins a line. The model then reads the end of a line first, as where it scores lines; in a
  /// vocabulary of characters without line ends, token 0.
  public let begin: Bool

  public init(_ text: some Sequence<UInt8>, begin: Bool = true) {
    self.text = Array(text)
    self.begin = begin
  }

  /// What the model reads, at least one token. Throws `CorpusError` for a text that is not of its vocabulary, and for
  /// nothing to read.
  public func tokens(_ tokenizer: Tokenizer) throws -> [Int32] {
    let vocabulary = tokenizer.vocabulary
    let tokens = try tokenizer.encode(text, source: "the prompt")
    if vocabulary.kind == .words, tokens.contains(Vocabulary.unknown), let word = try unknownWord(tokenizer) {
      throw CorpusError(
        "the prompt", "expected words of the model's vocabulary of \(vocabulary.count), found '\(word)'",
        remedy: "use other words, or <unk>")
    }
    if begin { return [vocabulary.lineStart] + tokens }
    guard !tokens.isEmpty else {
      throw CorpusError(
        "the prompt", "expected a text, since it does not begin a line, found nothing to read",
        remedy: "give one, or let it begin a line")
    }
    return tokens
  }

  /// The first word that the vocabulary lacks. A literal <unk> is accepted.
  private func unknownWord(_ tokenizer: Tokenizer) throws -> Substring? {
    try String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace).first {
      try $0 != "<unk>" && tokenizer.encode(Array($0.utf8), source: "the prompt").contains(Vocabulary.unknown)
    }
  }

  /// The last of its tokens; nil where no space is to come between it and what is written.
  func previous(_ tokens: [Int32]) -> Int32? {
    String(decoding: text, as: UTF8.self).last?.isWhitespace ?? true ? nil : tokens.last
  }
}
