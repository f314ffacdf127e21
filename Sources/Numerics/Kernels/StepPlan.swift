import CKernels

/// A recurrent layer over a window in our own loops: one product for each step, and one kernel for its gates.
///
/// An LSTM that learns is such a layer, since oneDNN's own takes up to a tenth more time with AVX2, and more with AVX-512
/// (Benchmarks/README.md): where few lanes meet many weights its products are slower, and gates pass several times. So is
/// what oneDNN has not: rows that end within the window, and the simplified gated unit.
///
/// Gates of a step stand side by side, [rows, gates x hidden], in the order of `Cell`. Going back, their gradients take their
/// place. The weights' gradients are then two products over all steps at once.
final class StepPlan {
  var instructions = Instructions.best {
    didSet {
      fromHidden.instructions = instructions
      learning?.toHidden.instructions = instructions
      learning?.toInput.instructions = instructions
    }
  }

  private let cell: Cell
  private let whole: ActiveRows
  private let lanes: Int
  private let hidden: Int
  /// Floats from one row of gates to the next. Not a large power of two: rows would displace each other in the cache.
  private let stride: Int
  /// Of the window under way.
  private var active: ActiveRows

  /// Rows are time-major. `gates` [rows, stride]; the others [rows, hidden].
  private let gates: FloatBuffer
  /// Cell states and their tanh, of a cell that has them.
  private let cells: FloatBuffer
  private let tanhCell: FloatBuffer
  /// Hidden state before each step.
  private let before: FloatBuffer

  private let fromHidden: PanelProduct
  private var weightInput: MatrixView?
  private let learning: Learning?

  /// What only learning needs.
  private struct Learning {
    /// Gradients that go back from step to step: of the hidden state and of the cell state, [lanes, hidden].
    let hiddenGradient: FloatBuffer
    let cellGradient: FloatBuffer
    let toHidden: PanelProduct
    let toInput: PanelProduct
  }

  /// Throws `KernelError`.
  init(_ cell: Cell, steps: Int, lanes: Int, inputSize: Int, hiddenSize: Int, purpose: Purpose = .training) throws {
    precondition(Self.has(cell), "no kernel for \(cell.rawValue)")
    self.cell = cell
    self.lanes = lanes
    whole = ActiveRows(steps: steps, lanes: lanes)
    active = whole
    hidden = hiddenSize
    let width = cell.gates * hiddenSize
    stride = width + (width.isMultiple(of: 512) ? 16 : 0)
    let rows = steps * lanes
    let cellRows = cell.hasCellState ? rows : 0
    gates = try FloatBuffer(rows * stride)
    cells = try FloatBuffer(cellRows * hidden)
    tanhCell = try FloatBuffer(cellRows * hidden)
    before = try FloatBuffer(rows * hidden)
    fromHidden = try PanelProduct(depth: hidden, columns: width)
    learning =
      purpose == .inference
      ? nil
      : Learning(
        hiddenGradient: try FloatBuffer(lanes * hidden), cellGradient: try FloatBuffer(lanes * hidden),
        toHidden: try PanelProduct(depth: width, columns: hidden),
        toInput: try PanelProduct(depth: width, columns: inputSize))
  }

  /// Whether there is a kernel for it.
  static func has(_ cell: Cell) -> Bool { cell == .lstm || cell == .gruSimple }

  /// Floats of such a plan, of what it keeps of the weights and of each row.
  static func floats(_ cell: Cell, rows: Double, lanes: Double, inputSize: Double, hiddenSize: Double, purpose: Purpose)
    -> Double
  {
    let width = Double(cell.gates) * hiddenSize
    let kept = rows * (width + 16 + hiddenSize * (cell.hasCellState ? 3 : 1)) + hiddenSize * width
    return purpose == .inference ? kept : kept + 2 * lanes * hiddenSize + width * (hiddenSize + inputSize)
  }

  /// Takes over new weights; they must stay where they are until the next are. Forward, those of the input are used where they
  /// lie: laying them out for one product of all steps would take as long as it saves. Backward it pays, since with
  /// transposed weights oneDNN has 73 to 87 % of its speed (least where their rows are a power of two apart).
  func pack(_ weights: RecurrentWeights) {
    weightInput = weights.input
    fromHidden.pack(weights.hidden)
    learning?.toHidden.pack(weights.hidden.transposed)
    learning?.toInput.pack(weights.input.transposed)
  }

  /// `input` and `output` have a row for each that lives; `after` is the state of each row after its last step.
  func forward(
    input: MatrixView, before state: LayerState, output: MatrixView, after: LayerState, bias: MatrixView,
    active given: ActiveRows? = nil
  ) throws {
    active = given ?? whole
    precondition(active.steps <= whole.steps && (active.counts.first ?? 0) <= lanes, "a window of another shape")
    guard let weightInput else { preconditionFailure("weights come before their use") }
    try Kernels.multiply(input, weightInput, into: gateRows(0..<active.total))
    before.pointer.update(from: state.hidden.pointer, count: lanes * hidden)
    var cellsBefore = state.cell?.pointer
    for step in 0..<active.steps {
      let rows = active.rows(of: step)
      let gates = gateRows(rows)
      let place = rows.lowerBound * hidden
      let next = step + 1 < active.steps ? before.pointer + active.offsets[step + 1] * hidden : nil
      fromHidden.multiply(
        before.matrix(rows: rows.count, columns: hidden, at: place), into: gates, adding: true)
      forUnits(of: rows.count) { units in
        let first = units.lowerBound
        let following = next.map { $0 + first }
        if let cellsBefore {
          lockstep_lstm_forward(
            instructions, rows.count, units.count, hidden, gates.stored.pointer + first, stride, bias.pointer + first,
            cellsBefore + first, cells.pointer + place + first, tanhCell.pointer + place + first,
            output.pointer + place + first, following)
        } else {
          lockstep_simple_gru_forward(
            instructions, rows.count, units.count, hidden, gates.stored.pointer + first, stride, bias.pointer + first,
            before.pointer + place + first, output.pointer + place + first, following)
        }
      }
      if cellsBefore != nil { cellsBefore = cells.pointer + place }
      finish(step, output: output, after)
    }
  }

  /// Keeps the states of rows whose last step this is.
  private func finish(_ step: Int, output: MatrixView, _ after: LayerState) {
    let going = step + 1 < active.steps ? active.counts[step + 1] : 0
    let ended = going..<active.counts[step]
    guard !ended.isEmpty else { return }
    let (from, to) = ((active.offsets[step] + ended.lowerBound) * hidden, ended.lowerBound * hidden)
    (after.hidden.pointer + to).update(from: output.pointer + from, count: ended.count * hidden)
    if let cell = after.cell { (cell.pointer + to).update(from: cells.pointer + from, count: ended.count * hidden) }
  }

  /// Of the window just run forward.
  func backward(
    input: MatrixView, before state: LayerState, outputGradient: MatrixView, afterGradient: LayerState,
    inputGradient: MatrixView, beforeGradient: LayerState, weightGradients: RecurrentWeights, overwrites: Bool,
    poll: () throws -> Void
  ) throws {
    guard let learning else { preconditionFailure("this plan was made for inference") }
    let (hiddenGradient, cellGradient) = (learning.hiddenGradient, learning.cellGradient)
    let width = lanes * hidden
    hiddenGradient.pointer.update(from: afterGradient.hidden.pointer, count: width)
    if let cell = afterGradient.cell { cellGradient.pointer.update(from: cell.pointer, count: width) }
    if overwrites { weightGradients.bias.clear() }
    for step in (0..<active.steps).reversed() {
      let rows = active.rows(of: step)
      let gates = gateRows(rows)
      let place = rows.lowerBound * hidden
      forUnits(of: rows.count) { units in
        let first = units.lowerBound
        if let firstCells = state.cell?.pointer {
          let cellsBefore = step > 0 ? cells.pointer + active.offsets[step - 1] * hidden : firstCells
          lockstep_lstm_backward(
            instructions, rows.count, units.count, hidden, gates.stored.pointer + first, stride, cellsBefore + first,
            tanhCell.pointer + place + first, outputGradient.pointer + place + first,
            hiddenGradient.pointer + first, cellGradient.pointer + first, weightGradients.bias.pointer + first)
        } else {
          lockstep_simple_gru_backward(
            instructions, rows.count, units.count, hidden, gates.stored.pointer + first, stride,
            before.pointer + place + first, outputGradient.pointer + place + first, hiddenGradient.pointer + first,
            weightGradients.bias.pointer + first)
        }
      }
      // A state that reaches the next past the gates has that part of its gradient already.
      learning.toHidden.multiply(
        gates, into: hiddenGradient.matrix(rows: rows.count, columns: hidden), adding: !cell.hasCellState)
      try poll()
    }
    beforeGradient.hidden.pointer.update(from: hiddenGradient.pointer, count: width)
    beforeGradient.cell?.pointer.update(from: cellGradient.pointer, count: width)

    let gradients = gateRows(0..<active.total)
    learning.toInput.multiply(gradients, into: inputGradient)
    try poll()
    try Kernels.multiply(input.transposed, gradients, into: weightGradients.input, adding: !overwrites)
    try poll()
    try Kernels.multiply(
      before.matrix(rows: active.total, columns: hidden).transposed, gradients, into: weightGradients.hidden,
      adding: !overwrites)
  }

  private func gateRows(_ rows: Range<Int>) -> StridedMatrix {
    StridedMatrix(
      pointer: gates.pointer + rows.lowerBound * stride, rows: rows.count, columns: cell.gates * hidden, stride: stride)
  }

  /// Units for each thread, which no two share; a small step is one thread's.
  private func forUnits(of rows: Int, _ body: (Range<Int>) -> Void) {
    let threads = min(OneDNN.threads, max(1, rows * hidden / Self.leastUnits))
    OneDNN.concurrently(threads) { thread in
      body(hidden * thread / threads..<hidden * (thread + 1) / threads)
    }
  }

  private static let leastUnits = 2048
}
