import Corpus
import Model

/// Writes one text with a model, token after token.
public final class TextWriter {
  private let tokenizer: Tokenizer
  private let generator: TextGenerator
  private let sampler: Sampler
  private let excluded: Int32?
  private var previous: Int32?
  private var unread: ArraySlice<Int32>

  /// The prompt is what is read first; where it is empty, the end of a line. Throws `CorpusError` for a prompt that the model cannot read,
  /// and `KernelError`.
  public init(
    _ model: ModelConfiguration, _ tokenizer: Tokenizer, _ parameters: Parameters, prompt: String,
    _ settings: SamplingSettings
  ) throws {
    self.tokenizer = tokenizer
    let start = try Self.tokens(of: prompt, tokenizer)
    generator = try TextGenerator(model, vocabularySize: tokenizer.vocabulary.count, parameters: parameters)
    sampler = Sampler(settings)
    excluded = tokenizer.vocabulary.kind == .words ? Vocabulary.unknown : nil
    previous = prompt.isEmpty ? nil : start.last
    unread = start[...]
  }

  /// Reads one token of the prompt; says whether there was one.
  func readPrompt() throws -> Bool {
    guard let token = unread.popFirst() else { return false }
    try generator.read(prompt: token)
    return true
  }

  /// The bytes of one more token, after the prompt; a character may be spread over several.
  public func next() throws -> [UInt8] {
    while try readPrompt() {}
    let token = try generator.next(sampler, excluding: excluded)
    defer { previous = token }
    return tokenizer.piece(for: token, after: previous)
  }

  /// `length` tokens as text.
  public func write(_ length: Int) throws -> String {
    var bytes: [UInt8] = []
    for _ in 0..<length { bytes += try next() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What a model reads before it writes.
  static func tokens(of prompt: String, _ tokenizer: Tokenizer) throws -> [Int32] {
    let vocabulary = tokenizer.vocabulary
    guard !prompt.isEmpty else {
      return [vocabulary.kind == .words ? Vocabulary.endOfLine : vocabulary.id(of: [UInt8(ascii: "\n")]) ?? 0]
    }
    let tokens = try tokenizer.encode(Array(prompt.utf8), source: "the prompt")
    if vocabulary.kind == .words, tokens.contains(Vocabulary.unknown) {
      let unknown = try prompt.split(whereSeparator: \.isWhitespace).first {
        try tokenizer.encode(Array($0.utf8), source: "the prompt").contains(Vocabulary.unknown)
      }
      throw CorpusError(
        "the prompt", "expected words of the model's vocabulary of \(vocabulary.count), found '\(unknown ?? "<unk>")'",
        remedy: "use other words")
    }
    guard !tokens.isEmpty else {
      throw CorpusError("the prompt", "expected words, found white space", remedy: "give some or leave it out")
    }
    return tokens
  }
}

/// Bytes that come in pieces, as text: a character that is not complete waits for the rest.
struct TextStream {
  private var rest: [UInt8] = []

  /// The text that is complete now. Bytes that no character begins with become U+FFFD.
  mutating func add(_ bytes: [UInt8]) -> String {
    rest += bytes
    // A character has four bytes at most: look for one that has begun within the last three and has more to come.
    for back in 1...3 where back <= rest.count {
      let byte = rest[rest.count - back]
      let length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
      if byte & 0xc0 == 0x80 { continue }
      guard length > back else { break }
      defer { rest = Array(rest.suffix(back)) }
      return String(decoding: rest.dropLast(back), as: UTF8.self)
    }
    defer { rest = [] }
    return String(decoding: rest, as: UTF8.self)
  }

  /// What is left, complete or not.
  mutating func finish() -> String {
    defer { rest = [] }
    return String(decoding: rest, as: UTF8.self)
  }
}
