import Kernels

/// How a tensor's numbers begin.
public enum Initializer: Equatable, Sendable {
  case zero
  /// Uniform in ±`range`.
  case uniform(range: Float)
  /// Normal around 0.
  case normal(deviation: Float)
  /// Zero, but `value` in `range`.
  case constant(Float, in: Range<Int>)
}

/// What the rows of a tensor stand for.
public enum RowAxis: Equatable, Sendable {
  /// One row for each token of the vocabulary, in its order.
  case vocabulary
}

/// A named tensor inside a flat buffer, as the part of a network that owns it has registered it.
public struct TensorSpec: Equatable, Sendable {
  public let name: String
  public let shape: [Int]
  /// Where it begins in the buffer, in floats; a multiple of 16, so that every tensor starts a cache line.
  public let offset: Int
  public let initial: Initializer
  /// Nil: nothing that two networks could have in common row by row.
  public let rows: RowAxis?
  /// Whether a step touches only some of its rows: those of the tokens it reads. The gradient of the others is zero.
  public let isSparse: Bool
  /// Whether its gradient is only ever added to: whoever begins a step clears it.
  public let accumulates: Bool

  public var count: Int { shape.reduce(1, *) }
  public var range: Range<Int> { offset..<offset + count }
}

/// A tensor of a layout.
public struct ParameterKey: Hashable, Sendable {
  /// Its place among the tensors.
  public let index: Int
}

/// A number of floats that each row carries from one window to the next, by name.
public struct StateSpec: Equatable, Sendable {
  public let name: String
  public let size: Int
}

public struct StateKey: Hashable, Sendable {
  let index: Int
}

/// Takes down what the parts of a network own, in the order of the forward pass. Roles are said here; nothing reads them
/// from a name.
public struct NetworkBuilder: Sendable {
  public let initialization: Initialization
  public private(set) var tensors: [TensorSpec] = []
  public private(set) var states: [StateSpec] = []
  private var offset = 0

  public init(_ initialization: Initialization = Initialization()) { self.initialization = initialization }

  /// `initial` is how the tensor begins under `Initialization.Kind.standard`.
  public mutating func add(
    _ name: String, _ shape: [Int], _ initial: Initializer, rows: RowAxis? = nil, isSparse: Bool = false,
    accumulates: Bool = false
  ) -> ParameterKey {
    precondition(!tensors.contains { $0.name == name }, "two tensors are called \(name)")
    let initial =
      switch initialization.kind {
      case .standard: initial
      case .uniform: Initializer.uniform(range: Float(initialization.range))
      }
    let tensor = TensorSpec(
      name: name, shape: shape, offset: offset, initial: initial, rows: rows, isSparse: isSparse,
      accumulates: accumulates)
    tensors.append(tensor)
    offset += (tensor.count + 15) / 16 * 16
    return ParameterKey(index: tensors.count - 1)
  }

  public mutating func addState(_ name: String, size: Int) -> StateKey {
    precondition(!states.contains { $0.name == name }, "two states are called \(name)")
    states.append(StateSpec(name: name, size: size))
    return StateKey(index: states.count - 1)
  }

  public var layout: ParameterLayout { ParameterLayout(tensors: tensors, bufferCount: offset) }
}

/// Where each parameter of a network stands in the one flat buffer that holds them all.
///
/// Names and shapes are those that the parts give: for vocabulary V, embedding E, layer l with input I, hidden H and G gates:
/// `embedding` [V, E]; `lstm.l.weightInput` [I, G x H], `lstm.l.weightHidden` [H, G x H], `lstm.l.bias`
/// [biases x H] (`gru.`, `rnn.` for those cells); `dense.l.weight` [I, H] and `dense.l.bias` [H] of a window network;
/// `output.weight` [V, H] unless tied; `output.bias` [V].
public struct ParameterLayout: Equatable, Sendable {
  public let tensors: [TensorSpec]
  /// Floats in the buffer, padding between tensors included. Padding is zero and stays so.
  public let bufferCount: Int

  init(tensors: [TensorSpec], bufferCount: Int) {
    self.tensors = tensors
    self.bufferCount = bufferCount
  }

  public init(_ model: ModelConfiguration, vocabularySize: Int) {
    self = NetworkPlan(model, vocabularySize: vocabularySize).layout
  }

  /// Numbers that are learned.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }

  public subscript(key: ParameterKey) -> TensorSpec { tensors[key.index] }

  public func tensor(_ name: String) -> TensorSpec {
    guard let tensor = tensors.first(where: { $0.name == name }) else {
      preconditionFailure("no parameter is called \(name)")
    }
    return tensor
  }
}

/// All parameters of a network, in one flat buffer with named views.
///
/// One buffer, so that the exchange sums slices of it, the optimizer walks it once and a checkpoint writes
/// its views.
public final class Parameters: Sendable {
  public let layout: ParameterLayout
  public let buffer: FloatBuffer

  /// Zeroed. Throws `KernelError.outOfMemory`.
  public init(_ layout: ParameterLayout) throws {
    self.layout = layout
    buffer = try FloatBuffer(layout.bufferCount)
  }

  /// In memory of the caller's.
  public init(_ layout: ParameterLayout, in buffer: FloatBuffer) {
    precondition(buffer.count == layout.bufferCount, "\(buffer.count) floats for \(layout.bufferCount)")
    self.layout = layout
    self.buffer = buffer
  }

  /// A tensor as a matrix; a vector is one row.
  public subscript(key: ParameterKey) -> MatrixView { matrix(layout[key]) }

  public func matrix(_ name: String) -> MatrixView { matrix(layout.tensor(name)) }

  private func matrix(_ tensor: TensorSpec) -> MatrixView {
    let columns = tensor.shape.last ?? 1
    return buffer.matrix(rows: tensor.count / max(columns, 1), columns: columns, at: tensor.offset)
  }
}

/// The gradient of the loss by each parameter stands where that parameter does.
public typealias Gradients = Parameters
