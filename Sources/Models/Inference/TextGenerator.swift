import Corpus
import Networks

/// Writes one text with a model, token after token.
public final class TextGenerator {
  private let tokenizer: Tokenizer
  private let model: IncrementalDecoder
  private let sampler: Sampler
  private let excluded: Int32?
  private var previous: Int32?
  /// Of the prompt.
  private var unread: ArraySlice<Int32>
  /// Drawn and not read yet.
  private var last: Int32?
  private var written = 0

  /// The prompt is what is read first. Throws `CorpusError` for one that the model cannot read, and `KernelError`.
  public init(
    _ model: ModelConfiguration, _ tokenizer: Tokenizer, _ parameters: Parameters, prompt: Prompt,
    _ settings: SamplingSettings
  ) throws {
    self.tokenizer = tokenizer
    let start = try prompt.tokens(tokenizer)
    self.model = try IncrementalDecoder(model, vocabularySize: tokenizer.vocabulary.count, parameters: parameters)
    sampler = try Sampler(settings, vocabularySize: tokenizer.vocabulary.count)
    excluded = tokenizer.vocabulary.kind == .words ? Vocabulary.unknown : nil
    previous = prompt.previous(start)
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

  /// The bytes of `length` tokens. `each` is called after every one; what it throws ends the text.
  public func write(_ length: Int, each: () throws -> Void = {}) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<length {
      bytes += try next()
      try each()
    }
    return bytes
  }
}
