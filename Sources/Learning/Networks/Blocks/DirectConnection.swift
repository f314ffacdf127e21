import Kernels

/// Some layers whose input goes past them too, and stands beside their output: [output of the layers | input].
struct DirectConnection: Part {
  let layers: [any Part]
  let inputSize: Int

  private var innerSize: Int { layers.last?.outputSize ?? inputSize }
  var outputSize: Int { innerSize + inputSize }

  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> (any Block)? {
    try DirectBlock(
      layers.compactMap { try $0.makeBlock(parameters, shape) }, innerSize: innerSize, inputSize: inputSize,
      rows: shape.rows)
  }

  func makeDecoder(_ parameters: Parameters) throws -> (any DecoderBlock)? {
    try DirectDecoder(
      layers.compactMap { try $0.makeDecoder(parameters) }, innerSize: innerSize, inputSize: inputSize)
  }

  func floats(_ shape: NetworkShape) -> Double {
    let rows = Double(shape.steps) * Double(shape.lanes)
    return layers.reduce(rows * Double(outputSize + inputSize)) { $0 + $1.floats(shape) }
  }
}

private final class DirectBlock: Block {
  private let layers: [any Block]
  private let innerSize: Int
  private let inputSize: Int
  private let output: FloatBuffer
  /// The part of the gradient that goes past the layers.
  private let passing: FloatBuffer

  init(_ layers: [any Block], innerSize: Int, inputSize: Int, rows: Int) throws {
    self.layers = layers
    self.innerSize = innerSize
    self.inputSize = inputSize
    output = try FloatBuffer(rows * (innerSize + inputSize))
    passing = try FloatBuffer(rows * inputSize)
  }

  func weightsChanged() throws { for layer in layers { try layer.weightsChanged() } }

  func forward(_ x: MatrixView, _ pass: Pass) throws -> MatrixView {
    let inner = try layers.reduce(x) { try $1.forward($0, pass) }
    let output = output.matrix(rows: x.rows, columns: innerSize + inputSize)
    join(inner, x, into: output)
    return output
  }

  func backward(
    _ dy: MatrixView, _ pass: Pass, _ slots: GradientSlots, _ sink: GradientSink
  ) throws -> MatrixView {
    let passing = passing.matrix(rows: dy.rows, columns: inputSize)
    let inner = slots.beside(dy, columns: innerSize)
    for row in 0..<dy.rows {
      inner.row(row).update(from: dy.row(row), count: innerSize)
      passing.row(row).update(from: dy.row(row) + innerSize, count: inputSize)
    }
    let dx = try layers.reversed().reduce(inner) { try $1.backward($0, pass, slots, sink) }
    for index in 0..<dx.count { dx.pointer[index] += passing.pointer[index] }
    return dx
  }
}

private final class DirectDecoder: DecoderBlock {
  private let layers: [any DecoderBlock]
  private let output: FloatBuffer

  init(_ layers: [any DecoderBlock], innerSize: Int, inputSize: Int) throws {
    self.layers = layers
    output = try FloatBuffer(innerSize + inputSize)
  }

  func step(_ x: MatrixView, _ states: RowStates) throws -> MatrixView {
    let inner = try layers.reduce(x) { try $1.step($0, states) }
    let output = output.matrix(rows: 1, columns: inner.columns + x.columns)
    join(inner, x, into: output)
    return output
  }
}

/// Rows of `a` and `b` side by side.
private func join(_ a: MatrixView, _ b: MatrixView, into output: MatrixView) {
  for row in 0..<output.rows {
    output.row(row).update(from: a.row(row), count: a.columns)
    (output.row(row) + a.columns).update(from: b.row(row), count: b.columns)
  }
}
