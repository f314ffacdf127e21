import Corpus
import Model

/// Writes one text with a model, token after token.
public final class TextWriter {
  private let tokenizer: Tokenizer
  private let model: StepwiseModel
  private let sampler: Sampler
  private let excluded: Int32?
  private var previous: Int32?
  /// Of the prompt.
  private var unread: ArraySlice<Int32>
  /// Drawn and not read yet.
  private var last: Int32?
  private var written = 0

  /// The prompt is what is read first; where it is empty, the end of a line. Throws `CorpusError` for a prompt that the
  /// model cannot read, and `KernelError`.
  public init(
    _ model: ModelConfiguration, _ tokenizer: Tokenizer, _ parameters: Parameters, prompt: String,
    _ settings: SamplingSettings
  ) throws {
    self.tokenizer = tokenizer
    let start = try Self.tokens(of: prompt, tokenizer)
    self.model = try StepwiseModel(model, vocabularySize: tokenizer.vocabulary.count, parameters: parameters)
    sampler = try Sampler(settings, vocabularySize: tokenizer.vocabulary.count)
    excluded = tokenizer.vocabulary.kind == .words ? Vocabulary.unknown : nil
    previous = Self.previous(prompt, start)
    unread = start[...]
  }

  /// Reads one token of the prompt; says whether there was one.
  public func readPrompt() throws -> Bool {
    guard let token = unread.popFirst() else { return false }
    try model.read(token)
    return true
  }

  /// The bytes of one more token, after the prompt; a character may be spread over several.
  public func next() throws -> [UInt8] {
    while try readPrompt() {}
    if let last { try model.read(last) }
    let token = try sampler.draw(from: try model.logits(), position: written, excluding: excluded)
    defer { (last, previous) = (token, token) }
    written += 1
    return tokenizer.piece(for: token, after: previous)
  }

  /// `length` tokens as text. `each` is called after every one; what it throws ends the text.
  public func write(_ length: Int, each: () throws -> Void = {}) throws -> String {
    var bytes: [UInt8] = []
    for _ in 0..<length {
      bytes += try next()
      try each()
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The token that what is written comes after; nil where no space is to come between.
  static func previous(_ prompt: String, _ tokens: [Int32]) -> Int32? {
    prompt.last?.isWhitespace ?? true ? nil : tokens.last
  }

  /// What a model reads before it writes.
  public static func tokens(of prompt: String, _ tokenizer: Tokenizer) throws -> [Int32] {
    let vocabulary = tokenizer.vocabulary
    guard !prompt.isEmpty else { return [vocabulary.lineEnd ?? 0] }
    let tokens = try tokenizer.encode(Array(prompt.utf8), source: "the prompt")
    if vocabulary.kind == .words, tokens.contains(Vocabulary.unknown) {
      // Who writes <unk> means it.
      let unknown = try prompt.split(whereSeparator: \.isWhitespace).first {
        try $0 != "<unk>" && tokenizer.encode(Array($0.utf8), source: "the prompt").contains(Vocabulary.unknown)
      }
      if let unknown {
        throw CorpusError(
          "the prompt", "expected words of the model's vocabulary of \(vocabulary.count), found '\(unknown)'",
          remedy: "use other words, or <unk>")
      }
    }
    guard !tokens.isEmpty else {
      throw CorpusError("the prompt", "expected words, found white space", remedy: "give some or leave it out")
    }
    return tokens
  }
}
