import Kernels

/// A network that reads texts a token at a time.
///
/// Where windows of many lanes are learned from, the weights are read once for many tokens, and arithmetic is what takes
/// time; here each token reads all of them once, and memory is. So they are used where they lie, as they are when they are
/// used: nothing is packed, copied or kept. For one thread.
public final class IncrementalDecoder {
  private let plan: NetworkPlan
  private let input: any InputDecoder
  private let blocks: [any DecoderBlock]
  private let head: SoftmaxDecoder

  /// What a text has left behind: a few numbers, however long it was.
  public final class Context {
    fileprivate let states: RowStates
    /// The output of the top block for the token read last, [1, size].
    fileprivate let top: FloatBuffer

    fileprivate init(_ plan: NetworkPlan) throws {
      states = try RowStates(plan.states, lanes: 1)
      top = try FloatBuffer(plan.head.hiddenSize)
    }

    fileprivate func copy(from other: Context) {
      states.copy(from: other.states)
      top.copy(from: other.top)
    }
  }

  /// Throws `KernelError.outOfMemory`.
  public init(_ plan: NetworkPlan, parameters: Parameters) throws {
    self.plan = plan
    input = try plan.input.makeDecoder(parameters)
    blocks = try plan.parts.compactMap { try $0.makeDecoder(parameters) }
    head = try plan.head.makeDecoder(parameters)
  }

  /// Of a text that has not begun. Throws `KernelError.outOfMemory`.
  public func makeContext() throws -> Context { try Context(plan) }

  public func copy(of context: Context) throws -> Context {
    let copy = try Context(plan)
    copy.copy(from: context)
    return copy
  }

  /// Reads a token. Traps if the vocabulary has no such.
  public func read(_ token: Int32, after context: Context) throws {
    let output = try blocks.reduce(input.step(token, context.states)) { try $1.step($0, context.states) }
    context.top.matrix(rows: 1, columns: context.top.count).copy(from: output)
  }

  /// Logits of the token after those that were read, one for each of the vocabulary. Valid until asked for again.
  public func logits(after context: Context) throws -> UnsafeBufferPointer<Float> {
    try head.logits(context.top.matrix(rows: 1, columns: context.top.count))
  }
}
