import Kernels

/// Reads a prompt and goes on writing, one token at a time.
public final class TextGenerator {
  private let model: LanguageModel
  private let state: RecurrentState
  private let logits: FloatBuffer

  /// Throws `KernelError`.
  public init(_ configuration: ModelConfiguration, vocabularySize: Int, parameters: Parameters) throws {
    model = try LanguageModel(
      configuration, vocabularySize: vocabularySize, parameters: parameters, steps: 1, lanes: 1,
      purpose: .inference)
    state = try RecurrentState(configuration, lanes: 1)
    logits = try FloatBuffer(vocabularySize)
  }

  /// Feeds `prompt` (at least one token) from zero state, then draws `length` tokens, each handed to
  /// `body` as it comes; `excluding` is a token never to be drawn.
  public func generate(
    prompt: [Int32], length: Int, sampler: Sampler, stream: Int = 0, excluding: Int32? = nil,
    _ body: (Int32) throws -> Void
  ) throws {
    precondition(!prompt.isEmpty, "a prompt has at least one token")
    state.clear()
    for token in prompt { try read(token) }
    for position in 0..<length {
      let token = sampler.draw(
        from: UnsafeBufferPointer(logits.values), position: position, stream: stream, excluding: excluding)
      try body(token)
      if position + 1 < length { try read(token) }
    }
  }

  private func read(_ token: Int32) throws {
    try withUnsafePointer(to: token) {
      try model.logits(
        inputs: UnsafeBufferPointer(start: $0, count: 1), state: state,
        into: logits.matrix(rows: 1, columns: logits.count))
    }
  }
}
