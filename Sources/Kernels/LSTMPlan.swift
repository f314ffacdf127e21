import COneDNN

/// An LSTM layer over a window, for learning, put together from matrix products. oneDNN's own layer multiplies by weights
/// that it has packed less well, and takes 2 to 15 % more time.
///
/// Gates of a step stand side by side, [lanes, 4 x hidden], in the order input, forget, cell, output. Going back, their
/// gradients take their place. The weights' gradients are then two products over all steps at once.
final class LSTMPlan {
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
  private let squashed: FloatBuffer
  /// Hidden state before each step.
  private let before: FloatBuffer
  /// Gradients that go back from step to step: of the hidden state and of the cell state.
  private let hiddenGradient: FloatBuffer
  private let cellGradient: FloatBuffer

  private let fromInput: PackedProduct
  private let fromHidden: PackedProduct
  private let toHidden: PackedProduct
  /// Where `gates` have space between their rows: the weights as they lie, without any, would be slower.
  private let toInput: PackedProduct?
  private let logistic: Elementwise
  private let tanh: Elementwise
  private var weightInput: MatrixView?

  /// Whether it is the faster one here: with AVX-512 oneDNN has kernels of its own for packed products.
  static var isFaster: Bool { OneDNN.instructionSet.contains("512") }

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
    squashed = try FloatBuffer(rows * hidden)
    before = try FloatBuffer(rows * hidden)
    hiddenGradient = try FloatBuffer(lanes * hidden)
    cellGradient = try FloatBuffer(lanes * hidden)
    fromInput = try PackedProduct(rows: rows, depth: input, columns: 4 * hidden, stride: stride, bias: true)
    fromHidden = try PackedProduct(rows: lanes, depth: hidden, columns: 4 * hidden, stride: stride, adding: true)
    toHidden = try PackedProduct(
      rows: lanes, depth: 4 * hidden, columns: hidden, stride: hidden, aStride: stride, transposed: true)
    toInput =
      stride == 4 * hidden
      ? nil
      : try PackedProduct(
        rows: rows, depth: 4 * hidden, columns: input, stride: input, aStride: stride, transposed: true)
    logistic = try Elementwise(dnnl_eltwise_logistic, count: lanes * stride)
    tanh = try Elementwise(dnnl_eltwise_tanh, count: lanes * hidden)
  }

  /// Takes over new weights; they must stay where they are until the next are.
  func pack(_ weights: RecurrentWeights) throws {
    weightInput = weights.input
    try fromInput.pack(weights.input)
    try fromHidden.pack(weights.hidden)
    try toHidden.pack(weights.hidden)
    try toInput?.pack(weights.input)
  }

  func forward(
    input: MatrixView, before state: LayerState, output: MatrixView, after: LayerState, bias: MatrixView
  ) throws {
    try fromInput.multiply(input.pointer, into: gates.pointer, bias: bias.pointer)
    let width = lanes * hidden
    before.pointer.update(from: state.hidden.pointer, count: width)
    guard var cellsBefore = state.cell?.pointer else { preconditionFailure("an LSTM has cell states") }
    for step in 0..<steps {
      let gates = gates.pointer + step * lanes * stride
      let cells = cells.pointer + step * width
      let squashed = squashed.pointer + step * width
      let output = output.pointer + step * width
      try fromHidden.multiply(before.pointer + step * width, into: gates)
      // tanh x = 2 logistic(2 x) - 1: one function for all gates.
      doubleCandidates(gates)
      try logistic.apply(gates, into: gates)
      updateCells(gates, before: cellsBefore, into: cells)
      try tanh.apply(cells, into: squashed)
      writeOutput(gates, squashed, into: output)
      if step + 1 < steps { (before.pointer + (step + 1) * width).update(from: output, count: width) }
      cellsBefore = cells
    }
    after.hidden.pointer.update(from: output.pointer + (steps - 1) * width, count: width)
    after.cell?.pointer.update(from: cellsBefore, count: width)
  }

  func backward(
    input: MatrixView, before state: LayerState, outputGradient: MatrixView, afterGradient: LayerState,
    inputGradient: MatrixView, beforeGradient: LayerState, weightGradients: RecurrentWeights, fresh: Bool,
    poll: () throws -> Void
  ) throws {
    guard let weightInput, let firstCells = state.cell?.pointer, let afterCells = afterGradient.cell?.pointer else {
      preconditionFailure("weights and cell states come before their gradients")
    }
    let width = lanes * hidden
    hiddenGradient.pointer.update(from: afterGradient.hidden.pointer, count: width)
    cellGradient.pointer.update(from: afterCells, count: width)
    for step in (0..<steps).reversed() {
      let gates = gates.pointer + step * lanes * stride
      let cellsBefore = step > 0 ? cells.pointer + (step - 1) * width : firstCells
      let squashed = squashed.pointer + step * width
      differentiate(gates, cellsBefore, squashed, outputGradient.pointer + step * width)
      try toHidden.multiply(gates, into: hiddenGradient.pointer)
      try poll()
    }
    beforeGradient.hidden.pointer.update(from: hiddenGradient.pointer, count: width)
    beforeGradient.cell?.pointer.update(from: cellGradient.pointer, count: width)

    let rows = steps * lanes
    let gradients = StridedMatrix(pointer: gates.pointer, rows: rows, columns: 4 * hidden, stride: stride)
    if let toInput {
      try toInput.multiply(gates.pointer, into: inputGradient.pointer)
    } else {
      try Kernels.multiply(gradients, weightInput.transposed, into: inputGradient)
    }
    try poll()
    try Kernels.multiply(input.transposed, gradients, into: weightGradients.input, adding: !fresh)
    try poll()
    try Kernels.multiply(
      before.matrix(rows: rows, columns: hidden).transposed, gradients, into: weightGradients.hidden,
      adding: !fresh)
    if fresh { weightGradients.bias.clear() }
    addRows(to: weightGradients.bias.pointer)
  }

  // MARK: - Loops over the numbers of a step
  // Never inlined: in a function that throws, swiftc 6.3 was seen to use the register of the error for their numbers.

  private typealias Floats = UnsafeMutablePointer<Float>

  /// Rows of a step's gates, and where the same lane's numbers are in a matrix [lanes, hidden].
  @inline(__always)
  private func forEachRow(_ gates: Floats, _ body: (Floats, Int) -> Void) {
    for lane in 0..<lanes { body(gates + lane * stride, lane * hidden) }
  }

  @inline(never)
  private func doubleCandidates(_ gates: Floats) {
    forEachRow(gates) { row, _ in
      let g = row + 2 * hidden
      for index in 0..<hidden { g[index] *= 2 }
    }
  }

  /// c = f c' + i g, with g = 2 s - 1, which is noted.
  @inline(never)
  private func updateCells(_ gates: Floats, before: Floats, into cells: Floats) {
    forEachRow(gates) { row, place in
      let (i, f, g) = (row, row + hidden, row + 2 * hidden)
      let (before, cells) = (before + place, cells + place)
      forEachPart { at, part in
        let squashed = 2 * part.load(g, at) - 1
        part.store(squashed, g, at)
        part.store(part.load(f, at) * part.load(before, at) + part.load(i, at) * squashed, cells, at)
      } rest: { at in
        g[at] = 2 * g[at] - 1
        cells[at] = f[at] * before[at] + i[at] * g[at]
      }
    }
  }

  /// h = o tanh c
  @inline(never)
  private func writeOutput(_ gates: Floats, _ squashed: Floats, into output: Floats) {
    forEachRow(gates) { row, place in
      let (o, squashed, output) = (row + 3 * hidden, squashed + place, output + place)
      forEachPart { at, part in
        part.store(part.load(o, at) * part.load(squashed, at), output, at)
      } rest: { at in
        output[at] = o[at] * squashed[at]
      }
    }
  }

  /// Gradients of a step's gates, before their functions, into their place; and of the cell state before.
  @inline(never)
  private func differentiate(_ gates: Floats, _ cellsBefore: Floats, _ squashed: Floats, _ outputGradient: Floats) {
    forEachRow(gates) { row, place in
      let (i, f, g, o) = (row, row + hidden, row + 2 * hidden, row + 3 * hidden)
      let (cellsBefore, squashed, outputGradient) = (cellsBefore + place, squashed + place, outputGradient + place)
      let (hiddenGradient, cellGradient) = (hiddenGradient.pointer + place, cellGradient.pointer + place)
      forEachPart { at, part in
        let (iv, fv, gv, ov) = (part.load(i, at), part.load(f, at), part.load(g, at), part.load(o, at))
        let tv = part.load(squashed, at)
        let dh = part.load(outputGradient, at) + part.load(hiddenGradient, at)
        let dc = part.load(cellGradient, at) + dh * ov * (1 - tv * tv)
        part.store(dc * gv * iv * (1 - iv), i, at)
        part.store(dc * part.load(cellsBefore, at) * fv * (1 - fv), f, at)
        part.store(dc * iv * (1 - gv * gv), g, at)
        part.store(dh * tv * ov * (1 - ov), o, at)
        part.store(dc * fv, cellGradient, at)
      } rest: { at in
        let (iv, fv, gv, ov, tv) = (i[at], f[at], g[at], o[at], squashed[at])
        let dh = outputGradient[at] + hiddenGradient[at]
        let dc = cellGradient[at] + dh * ov * (1 - tv * tv)
        i[at] = dc * gv * iv * (1 - iv)
        f[at] = dc * cellsBefore[at] * fv * (1 - fv)
        g[at] = dc * iv * (1 - gv * gv)
        o[at] = dh * tv * ov * (1 - ov)
        cellGradient[at] = dc * fv
      }
    }
  }

  /// Adds the gates' gradients of all rows to the bias's.
  @inline(never)
  private func addRows(to bias: Floats) {
    for row in 0..<steps * lanes {
      let values = gates.pointer + row * stride
      for index in 0..<4 * hidden { bias[index] += values[index] }
    }
  }

  /// Eight floats at a time.
  private struct Part {
    @inline(__always)
    func load(_ values: Floats, _ offset: Int) -> SIMD8<Float> {
      UnsafeRawPointer(values + offset).loadUnaligned(as: SIMD8<Float>.self)
    }
    @inline(__always)
    func store(_ part: SIMD8<Float>, _ values: Floats, _ offset: Int) {
      UnsafeMutableRawPointer(values + offset).storeBytes(of: part, as: SIMD8<Float>.self)
    }
  }

  @inline(__always)
  private func forEachPart(_ body: (Int, Part) -> Void, rest: (Int) -> Void) {
    let whole = hidden / 8 * 8
    var offset = 0
    while offset < whole {
      body(offset, Part())
      offset += 8
    }
    for index in whole..<hidden { rest(index) }
  }
}
