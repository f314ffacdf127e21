import Corpus
import Networks

/// Writes one text with a predictor, token after token.
public final class TextGenerator {
  private let tokenizer: Tokenizer
  private let text: any TextUnderWay
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
    _ tokenizer: Tokenizer, _ predictor: some Predictor, prompt: Prompt, _ settings: SamplingSettings
  ) throws {
    self.tokenizer = tokenizer
    let start = try prompt.tokens(tokenizer)
    text = try PredictedText(predictor)
    sampler = try Sampler(settings, vocabularySize: predictor.vocabularySize)
    excluded = tokenizer.vocabulary.kind == .words ? Vocabulary.unknown : nil
    previous = prompt.previous(start)
    unread = start[...]
  }

  /// Reads one token of the prompt; says whether there was one.
  public func readPrompt() throws -> Bool {
    guard let token = unread.popFirst() else { return false }
    try text.advance(by: token)
    return true
  }

  /// The bytes of one more token, after the prompt; a character may be spread over several.
  public func next() throws -> [UInt8] {
    while try readPrompt() {}
    if let last { try text.advance(by: last) }
    let token = try sampler.draw(from: try text.logits(), position: written, excluding: excluded)
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

/// A text and what its predictor remembers of it, whatever predictor that is.
private protocol TextUnderWay {
  func advance(by token: Int32) throws
  func logits() throws -> UnsafeBufferPointer<Float>
}

private struct PredictedText<P: Predictor>: TextUnderWay {
  private let predictor: P
  private let context: P.Context

  init(_ predictor: P) throws {
    self.predictor = predictor
    context = try predictor.makeContext()
  }

  func advance(by token: Int32) throws { try predictor.advance(context, by: token) }
  func logits() throws -> UnsafeBufferPointer<Float> { try predictor.logits(after: context) }
}
