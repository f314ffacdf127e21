import Kernels

/// Reads a prompt and goes on writing, one token at a time.
public final class TextGenerator {
  private let model: LanguageModel
  private let state: RecurrentState
  private let logits: FloatBuffer
  private var position = 0
  /// Drawn and not read yet.
  private var last: Int32?

  /// Throws `KernelError`.
  public init(_ configuration: ModelConfiguration, vocabularySize: Int, parameters: Parameters) throws {
    model = try LanguageModel(
      configuration, vocabularySize: vocabularySize, parameters: parameters, steps: 1, lanes: 1,
      purpose: .inference)
    state = try RecurrentState(configuration, lanes: 1)
    logits = try FloatBuffer(vocabularySize)
  }

  /// Reads a token of the prompt, which has at least one, from zero state.
  public func read(prompt token: Int32) throws {
    precondition(position == 0, "a prompt comes first")
    try read(token)
  }

  /// Draws the next token; `excluding` is one never to be drawn.
  public func next(_ sampler: Sampler, excluding: Int32? = nil) throws -> Int32 {
    if let last { try read(last) }
    let token = sampler.draw(from: UnsafeBufferPointer(logits.values), position: position, excluding: excluding)
    position += 1
    last = token
    return token
  }

  private func read(_ token: Int32) throws {
    try withUnsafePointer(to: token) {
      try model.logits(
        inputs: UnsafeBufferPointer(start: $0, count: 1), state: state,
        into: logits.matrix(rows: 1, columns: logits.count))
    }
  }
}
