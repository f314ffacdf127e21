import Glibc
import Kernels

/// A recurrent layer of one cell, from step to step of a row.
struct RecurrentLayer: Part {
  let cell: Cell
  let inputSize: Int
  let outputSize: Int
  let weightInput: ParameterKey
  let weightHidden: ParameterKey
  let bias: ParameterKey
  let hidden: StateKey
  let cellState: StateKey?

  init(_ cell: Cell, index: Int, inputSize: Int, size: Int, _ builder: inout NetworkBuilder) {
    self.cell = cell
    self.inputSize = inputSize
    outputSize = size
    let name = "\(cell.family).\(index)"
    let uniform = Initializer.uniform(range: 1 / Float(size).squareRoot())
    weightInput = builder.add("\(name).weightInput", [inputSize, cell.gates * size], uniform)
    weightHidden = builder.add("\(name).weightHidden", [size, cell.gates * size], uniform)
    // Jozefowicz et al. 2015: the forget gate begins open.
    let forget = Float(builder.initialization.forgetBias)
    bias = builder.add(
      "\(name).bias", [cell.biases * size], cell == .lstm ? .constant(forget, in: size..<2 * size) : .zero)
    hidden = builder.addState("\(name).hidden", size: size)
    cellState = cell.hasCellState ? builder.addState("\(name).cell", size: size) : nil
  }

  func weights(_ parameters: Parameters) -> RecurrentWeights {
    RecurrentWeights(input: parameters[weightInput], hidden: parameters[weightHidden], bias: parameters[bias])
  }

  func makeBlock(_ parameters: Parameters, _ shape: NetworkShape) throws -> (any Block)? {
    try RecurrentBlock(self, parameters, shape)
  }

  func makeDecoder(_ parameters: Parameters) throws -> (any DecoderBlock)? { try RecurrentDecoder(self, parameters) }

  func floats(_ shape: NetworkShape) -> Double {
    let lanes = Double(shape.lanes)
    let rows = Double(shape.steps) * lanes
    let states = shape.purpose == .training ? 4 * lanes * Double(outputSize) : 0
    return rows * Double(outputSize) + states
      + RecurrentPlan.floats(
        cell, rows: rows, lanes: lanes, inputSize: Double(inputSize), hiddenSize: Double(outputSize),
        purpose: shape.purpose, rowsEnd: shape.rowsEnd)
  }
}

final class RecurrentBlock: Block {
  private let part: RecurrentLayer
  private let weights: RecurrentWeights
  private let plan: RecurrentPlan
  private let output: FloatBuffer
  private let learning: Learning?
  private var input: MatrixView?

  /// What only learning needs: no gradient comes from after the window, and what would go before it ends here.
  private final class Learning {
    let afterGradient: LayerState
    let beforeGradient: LayerState
    private let memory: FloatBuffer

    init(_ part: RecurrentLayer, lanes: Int) throws {
      let floats = lanes * part.outputSize
      let memory = try FloatBuffer(4 * floats)
      self.memory = memory
      func state(_ place: Int) -> LayerState {
        func matrix(_ index: Int) -> MatrixView {
          memory.matrix(rows: lanes, columns: part.outputSize, at: index * floats)
        }
        return LayerState(hidden: matrix(place), cell: part.cell.hasCellState ? matrix(place + 1) : nil)
      }
      afterGradient = state(0)
      beforeGradient = state(2)
    }
  }

  init(_ part: RecurrentLayer, _ parameters: Parameters, _ shape: NetworkShape) throws {
    self.part = part
    weights = part.weights(parameters)
    plan = try RecurrentPlan(
      cell: part.cell, steps: shape.steps, lanes: shape.lanes, inputSize: part.inputSize, hiddenSize: part.outputSize,
      purpose: shape.purpose, rowsEnd: shape.rowsEnd)
    output = try FloatBuffer(shape.rows * part.outputSize)
    learning = shape.purpose == .training ? try Learning(part, lanes: shape.lanes) : nil
  }

  /// Gradients of the loss by the states that each row began the last window with.
  var initialStateGradient: LayerState {
    guard let learning else { preconditionFailure("this layer was made for inference") }
    return learning.beforeGradient
  }

  func weightsChanged() throws { try plan.pack(weights) }

  func forward(_ x: MatrixView, _ pass: Pass) throws -> MatrixView {
    input = x
    let output = output.matrix(rows: x.rows, columns: part.outputSize)
    try pass.times.measure(.recurrentForward) {
      try plan.forward(
        input: x, before: before(pass), output: output, after: after(pass), bias: weights.bias,
        active: pass.rowsEnd ? pass.active : nil)
    }
    return output
  }

  func backward(
    _ dy: MatrixView, _ pass: Pass, _ slots: GradientSlots, _ sink: GradientSink
  ) throws -> MatrixView {
    guard let learning, let input else { preconditionFailure("a forward pass for learning comes before") }
    let dx = slots.beside(dy, columns: part.inputSize)
    try pass.times.measure(.recurrentBackward) {
      try plan.backward(
        input: input, before: before(pass), output: output.matrix(rows: dy.rows, columns: part.outputSize),
        after: after(pass), bias: weights.bias, outputGradient: dy, afterGradient: learning.afterGradient,
        inputGradient: dx, beforeGradient: learning.beforeGradient, weightGradients: part.weights(sink.gradients),
        overwrites: sink.overwrites
      ) { try sink.poll() }
    }
    try sink.ready([part.weightInput, part.weightHidden, part.bias])
    return dx
  }

  private func before(_ pass: Pass) -> LayerState {
    LayerState(hidden: pass.states[part.hidden], cell: part.cellState.map { pass.states[$0] })
  }

  private func after(_ pass: Pass) -> LayerState {
    LayerState(hidden: pass.states.after(part.hidden), cell: part.cellState.map { pass.states.after($0) })
  }
}

/// One step of a layer; the equations are those that `Cell` names.
private final class RecurrentDecoder: DecoderBlock {
  private let part: RecurrentLayer
  private let weights: RecurrentWeights
  /// [gates x H]: of the input, and of the state where they are not simply added.
  private let fromInput: FloatBuffer
  private let fromState: FloatBuffer
  /// Room for the state after the reset.
  private let kept: FloatBuffer

  init(_ part: RecurrentLayer, _ parameters: Parameters) throws {
    self.part = part
    weights = part.weights(parameters)
    fromInput = try FloatBuffer(part.cell.gates * part.outputSize)
    fromState = try FloatBuffer(part.cell.gates * part.outputSize)
    kept = try FloatBuffer(part.outputSize)
  }

  func step(_ input: MatrixView, _ states: RowStates) throws -> MatrixView {
    let size = part.outputSize
    let columns = fromInput.count
    let hidden = states[part.hidden]
    let fromInput = fromInput.matrix(rows: 1, columns: columns)
    let fromState = fromState.matrix(rows: 1, columns: columns)
    let (x, s, h) = (fromInput.pointer, fromState.pointer, hidden.pointer)
    fromInput.copy(from: MatrixView(pointer: weights.bias.pointer, rows: 1, columns: columns))
    try multiply(input, weights.input, into: fromInput, adding: true)

    switch part.cell {
    case .lstm:
      guard let c = part.cellState.map({ states[$0].pointer }) else { preconditionFailure("an LSTM has cell states") }
      try multiply(hidden, weights.hidden, into: fromInput, adding: true)
      for i in 0..<size {
        c[i] = sigmoid(x[size + i]) * c[i] + sigmoid(x[i]) * tanh(x[2 * size + i])
        h[i] = sigmoid(x[3 * size + i]) * tanh(c[i])
      }
    case .gru:
      try multiply(hidden, weights.hidden, into: fromState)
      let insideReset = weights.bias.pointer + columns
      for i in 0..<size {
        let update = sigmoid(x[i] + s[i])
        let reset = sigmoid(x[size + i] + s[size + i])
        let new = tanh(x[2 * size + i] + reset * (s[2 * size + i] + insideReset[i]))
        h[i] = update * h[i] + (1 - update) * new
      }
    case .gruVanilla:
      try multiply(hidden, weights.hidden, into: fromState)
      let kept = kept.matrix(rows: 1, columns: size)
      for i in 0..<size {
        x[i] = sigmoid(x[i] + s[i])
        kept.pointer[i] = sigmoid(x[size + i] + s[size + i]) * h[i]
      }
      try multiply(kept, weights.hidden, into: fromState)
      for i in 0..<size { h[i] = x[i] * h[i] + (1 - x[i]) * tanh(x[2 * size + i] + s[2 * size + i]) }
    case .gruSimple:
      try multiply(hidden, weights.hidden, into: fromInput, adding: true)
      for i in 0..<size { h[i] += sigmoid(x[i]) * (tanh(x[size + i]) - h[i]) }
    case .rnnTanh, .rnnRelu, .rnnLeakyRelu, .rnnSigmoid:
      try multiply(hidden, weights.hidden, into: fromInput, adding: true)
      for i in 0..<size {
        h[i] =
          switch part.cell {
          case .rnnRelu: max(0, x[i])
          case .rnnLeakyRelu: x[i] > 0 ? x[i] : Cell.leakySlope * x[i]
          case .rnnSigmoid: sigmoid(x[i])
          default: tanh(x[i])
          }
      }
    }
    return hidden
  }
}

private func sigmoid(_ x: Float) -> Float { 1 / (1 + exp(-x)) }
