import Kernels

/// `f(x W + b)`, position by position.
struct DenseLayer: Part {
  let activation: Activation
  let inputSize: Int
  let outputSize: Int
  let weight: ParameterKey
  let bias: ParameterKey

  init(_ activation: Activation, index: Int, inputSize: Int, size: Int, _ builder: inout NetworkBuilder) {
    self.activation = activation
    self.inputSize = inputSize
    outputSize = size
    weight = builder.add(
      "dense.\(index).weight", [inputSize, size], .uniform(range: 1 / Float(inputSize).squareRoot()))
    bias = builder.add("dense.\(index).bias", [size], .zero)
  }

  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> (any Block)? {
    try DenseBlock(self, parameters, rows: shape.rows)
  }

  func makeDecoder(_ parameters: Parameters) throws -> (any DecoderBlock)? {
    try DenseBlock(self, parameters, rows: 1)
  }

  func floats(_ shape: NetworkShape) -> Double { Double(shape.steps) * Double(shape.lanes) * Double(outputSize) }
}

private final class DenseBlock: Block, DecoderBlock {
  private let part: DenseLayer
  private let weight: MatrixView
  private let bias: MatrixView
  private let output: FloatBuffer
  private var input: MatrixView?

  init(_ part: DenseLayer, _ parameters: Parameters, rows: Int) throws {
    self.part = part
    weight = parameters[part.weight]
    bias = parameters[part.bias]
    output = try FloatBuffer(rows * part.outputSize)
  }

  func forward(_ x: MatrixView, _ pass: Pass) throws -> MatrixView {
    input = x
    return try pass.times.measure(.recurrentForward) { try activated(x) }
  }

  func step(_ x: MatrixView, _ states: RowStates) throws -> MatrixView { try activated(x) }

  private func activated(_ x: MatrixView) throws -> MatrixView {
    let output = output.matrix(rows: x.rows, columns: part.outputSize)
    for row in 0..<x.rows { output.row(row).update(from: bias.pointer, count: part.outputSize) }
    try multiply(x, weight, into: output, adding: true)
    part.activation.apply(output)
    return output
  }

  func backward(
    _ dy: MatrixView, _ pass: Pass, _ slots: GradientSlots, _ sink: GradientSink
  ) throws -> MatrixView {
    guard let input else { preconditionFailure("a forward pass comes before") }
    let dx = slots.beside(dy, columns: part.inputSize)
    try pass.times.measure(.recurrentBackward) {
      part.activation.backward(dy, y: output.matrix(rows: dy.rows, columns: dy.columns))
      let biasGradient = sink[part.bias]
      if sink.overwrites { biasGradient.clear() }
      for row in 0..<dy.rows {
        let values = dy.row(row)
        for column in 0..<dy.columns { biasGradient.pointer[column] += values[column] }
      }
      try multiply(input.transposed, dy, into: sink[part.weight], adding: !sink.overwrites)
      try multiply(dy, weight.transposed, into: dx)
    }
    try sink.ready([part.weight, part.bias])
    return dx
  }
}
