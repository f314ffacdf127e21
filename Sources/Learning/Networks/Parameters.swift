import Kernels

/// A named tensor inside a flat buffer.
public struct TensorSpec: Equatable, Sendable {
  public let name: String
  public let shape: [Int]
  /// Where it begins in the buffer, in floats; a multiple of 16, so that every tensor starts a cache line.
  public let offset: Int

  public var count: Int { shape.reduce(1, *) }
  /// Whether it has a row for each token of the vocabulary.
  public var isOfVocabulary: Bool { name == "embedding" || name.hasPrefix("output.") }
  public var range: Range<Int> { offset..<offset + count }
}

/// Where each parameter of a model stands in the one flat buffer that holds them all.
///
/// Names and shapes, for vocabulary V, embedding E, layer l with input I, hidden H and G gates:
/// `embedding` [V, E]; `lstm.l.weightInput` [I, G x H], `lstm.l.weightHidden` [H, G x H], `lstm.l.bias`
/// [biases x H] (`gru.`, `rnn.` for those cells); `output.weight` [V, H] unless tied; `output.bias` [V].
public struct ParameterLayout: Equatable, Sendable {
  public let views: [TensorSpec]
  /// Floats in the buffer, padding between tensors included. Padding is zero and stays so.
  public let bufferCount: Int

  public init(_ model: ModelConfiguration, vocabularySize: Int) {
    var views: [TensorSpec] = []
    var offset = 0
    func add(_ name: String, _ shape: [Int]) {
      let view = TensorSpec(name: name, shape: shape, offset: offset)
      views.append(view)
      offset += (view.count + 15) / 16 * 16
    }
    let cell = model.cell
    add("embedding", [vocabularySize, model.embeddingSize])
    for (layer, hidden) in model.hiddenSizes.enumerated() {
      add("\(cell.family).\(layer).weightInput", [model.inputSize(ofLayer: layer), cell.gates * hidden])
      add("\(cell.family).\(layer).weightHidden", [hidden, cell.gates * hidden])
      add("\(cell.family).\(layer).bias", [cell.biases * hidden])
    }
    if !model.tiedWeights { add("output.weight", [vocabularySize, model.outputSize]) }
    add("output.bias", [vocabularySize])
    self.views = views
    bufferCount = offset
  }

  /// Numbers that are learned.
  public var parameterCount: Int { views.reduce(0) { $0 + $1.count } }

  public func view(_ name: String) -> TensorSpec {
    guard let view = views.first(where: { $0.name == name }) else {
      preconditionFailure("no parameter is called \(name)")
    }
    return view
  }
}

extension ParameterLayout {
  /// All floats of a recurrent layer, with the padding behind them.
  func range(ofLayer index: Int, _ cell: Cell) -> Range<Int> {
    let begin = view("\(cell.family).\(index).weightInput").offset
    let last = view("\(cell.family).\(index).bias")
    return begin..<last.offset + (last.count + 15) / 16 * 16
  }
}

/// All parameters of a model, in one flat buffer with named views.
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
  public func matrix(_ name: String) -> MatrixView {
    let view = layout.view(name)
    let columns = view.shape.last ?? 1
    return buffer.matrix(rows: view.count / max(columns, 1), columns: columns, at: view.offset)
  }

  /// The three tensors of a recurrent layer.
  public func recurrentWeights(_ cell: Cell, layer: Int) -> RecurrentWeights {
    RecurrentWeights(
      input: matrix("\(cell.family).\(layer).weightInput"),
      hidden: matrix("\(cell.family).\(layer).weightHidden"),
      bias: matrix("\(cell.family).\(layer).bias"))
  }
}

/// The gradient of the loss by each parameter stands where that parameter does.
public typealias Gradients = Parameters
