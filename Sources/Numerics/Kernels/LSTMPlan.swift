import CKernels

/// An LSTM layer over a window, for learning. oneDNN's own takes up to a tenth more time with AVX2, and more with AVX-512
/// (Benchmarks/README.md): where few lanes meet many weights its products are slower, and gates pass several times.
///
/// Gates of a step stand side by side, [lanes, 4 x hidden], in the order input, forget, cell, output. Going back, their
/// gradients take their place. The weights' gradients are then two products over all steps at once.
final class LSTMPlan {
  var instructions = Instructions.best {
    didSet {
      fromHidden.instructions = instructions
      toHidden.instructions = instructions
      toInput.instructions = instructions
    }
  }

  private let steps: Int
  private let lanes: Int
  private let hidden: Int
  private let input: Int
  /// Floats from one row of gates to the next. Not a large power of two: rows would displace each other in the cache.
  private let stride: Int

  /// Rows are time-major. `gates` [steps x lanes, stride]; the others [steps x lanes, hidden].
  private let gates: FloatBuffer
  private let cells: FloatBuffer
  /// tanh of the cell state.
  private let tanhCell: FloatBuffer
  /// Hidden state before each step.
  private let before: FloatBuffer
  /// Gradients that go back from step to step: of the hidden state and of the cell state.
  private let hiddenGradient: FloatBuffer
  private let cellGradient: FloatBuffer

  private let fromHidden: PanelProduct
  private let toHidden: PanelProduct
  private let toInput: PanelProduct
  private var weightInput: MatrixView?

  /// Throws `KernelError`.
  init(steps: Int, lanes: Int, inputSize: Int, hiddenSize: Int) throws {
    self.steps = steps
    self.lanes = lanes
    input = inputSize
    hidden = hiddenSize
    stride = 4 * hiddenSize + ((4 * hiddenSize).isMultiple(of: 512) ? 16 : 0)
    let rows = steps * lanes
    gates = try FloatBuffer(rows * stride)
    cells = try FloatBuffer(rows * hidden)
    tanhCell = try FloatBuffer(rows * hidden)
    before = try FloatBuffer(rows * hidden)
    hiddenGradient = try FloatBuffer(lanes * hidden)
    cellGradient = try FloatBuffer(lanes * hidden)
    fromHidden = try PanelProduct(depth: hidden, columns: 4 * hidden)
    toHidden = try PanelProduct(depth: 4 * hidden, columns: hidden)
    toInput = try PanelProduct(depth: 4 * hidden, columns: input)
  }

  /// Takes over new weights; they must stay where they are until the next are. Forward, those of the input are used where they
  /// lie: laying them out for one product of all steps would take as long as it saves. Backward it pays, since with
  /// transposed weights oneDNN has 73 to 87 % of its speed (least where their rows are a power of two apart).
  func pack(_ weights: RecurrentWeights) {
    weightInput = weights.input
    fromHidden.pack(weights.hidden)
    toHidden.pack(weights.hidden.transposed)
    toInput.pack(weights.input.transposed)
  }

  func forward(
    input: MatrixView, before state: LayerState, output: MatrixView, after: LayerState, bias: MatrixView
  ) throws {
    guard let weightInput, var cellsBefore = state.cell?.pointer else {
      preconditionFailure("weights come before their use, and an LSTM has cell states")
    }
    try Kernels.multiply(input, weightInput, into: gateRows(0..<steps))
    let width = lanes * hidden
    before.pointer.update(from: state.hidden.pointer, count: width)
    for step in 0..<steps {
      let gates = gateRows(step..<step + 1)
      let cells = cells.pointer + step * width
      let next = step + 1 < steps ? before.pointer + (step + 1) * width : nil
      fromHidden.multiply(before.matrix(rows: lanes, columns: hidden, at: step * width), into: gates, adding: true)
      forUnits { units in
        let first = units.lowerBound
        lockstep_lstm_forward(
          instructions, lanes, units.count, hidden, gates.stored.pointer + first, stride, bias.pointer + first,
          cellsBefore + first, cells + first, tanhCell.pointer + step * width + first,
          output.pointer + step * width + first,
          next.map { $0 + first })
      }
      cellsBefore = cells
    }
    after.hidden.pointer.update(from: output.pointer + (steps - 1) * width, count: width)
    after.cell?.pointer.update(from: cellsBefore, count: width)
  }

  func backward(
    input: MatrixView, before state: LayerState, outputGradient: MatrixView, afterGradient: LayerState,
    inputGradient: MatrixView, beforeGradient: LayerState, weightGradients: RecurrentWeights, overwrites: Bool,
    poll: () throws -> Void
  ) throws {
    guard let firstCells = state.cell?.pointer, let afterCells = afterGradient.cell?.pointer else {
      preconditionFailure("an LSTM has cell states")
    }
    let width = lanes * hidden
    hiddenGradient.pointer.update(from: afterGradient.hidden.pointer, count: width)
    cellGradient.pointer.update(from: afterCells, count: width)
    if overwrites { weightGradients.bias.clear() }
    for step in (0..<steps).reversed() {
      let gates = gateRows(step..<step + 1)
      let cellsBefore = step > 0 ? cells.pointer + (step - 1) * width : firstCells
      forUnits { units in
        let first = units.lowerBound
        lockstep_lstm_backward(
          instructions, lanes, units.count, hidden, gates.stored.pointer + first, stride, cellsBefore + first,
          tanhCell.pointer + step * width + first, outputGradient.pointer + step * width + first,
          hiddenGradient.pointer + first, cellGradient.pointer + first, weightGradients.bias.pointer + first)
      }
      toHidden.multiply(gates, into: hiddenGradient.matrix(rows: lanes, columns: hidden))
      try poll()
    }
    beforeGradient.hidden.pointer.update(from: hiddenGradient.pointer, count: width)
    beforeGradient.cell?.pointer.update(from: cellGradient.pointer, count: width)

    let gradients = gateRows(0..<steps)
    toInput.multiply(gradients, into: inputGradient)
    try poll()
    try Kernels.multiply(input.transposed, gradients, into: weightGradients.input, adding: !overwrites)
    try poll()
    try Kernels.multiply(
      before.matrix(rows: steps * lanes, columns: hidden).transposed, gradients, into: weightGradients.hidden,
      adding: !overwrites)
  }

  /// Gates of all lanes of some steps.
  private func gateRows(_ range: Range<Int>) -> StridedMatrix {
    StridedMatrix(
      pointer: gates.pointer + range.lowerBound * lanes * stride, rows: range.count * lanes, columns: 4 * hidden,
      stride: stride)
  }

  /// Units for each thread, which no two share; a small step is one thread's.
  private func forUnits(_ body: (Range<Int>) -> Void) {
    let threads = min(OneDNN.threads, max(1, lanes * hidden / Self.leastUnits))
    OneDNN.concurrently(threads) { thread in
      body(hidden * thread / threads..<hidden * (thread + 1) / threads)
    }
  }

  private static let leastUnits = 2048
}
