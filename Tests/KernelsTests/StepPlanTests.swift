import Testing

@testable import Kernels

/// Our own layer says what oneDNN's does.
@Suite struct StepPlanTests {
  private let random = CounterRandom(seed: 5, purpose: .benchmark)

  /// A matrix of some rows that is filled with numbers of its own, or with zeros.
  private struct Numbers {
    let buffer: FloatBuffer
    let matrix: MatrixView

    init(_ rows: Int, _ columns: Int) throws {
      buffer = try FloatBuffer(rows * columns)
      matrix = buffer.matrix(rows: rows, columns: columns)
    }
  }

  private func drawn(_ rows: Int, _ columns: Int, _ stream: UInt32) throws -> Numbers {
    let numbers = try Numbers(rows, columns)
    for index in 0..<rows * columns {
      numbers.buffer[index] = Float(random.unit(UInt32(index), stream, 0) - 0.5)
    }
    return numbers
  }

  @Test(
    arguments: [(1, 1, 3, 5), (4, 3, 8, 8), (7, 5, 20, 13), (3, 16, 64, 128), (2, 2, 9, 650), (2, 40, 9, 130)],
    [false, true])
  func itIsTheLayerThatOneDNNHas(_ shape: (steps: Int, lanes: Int, input: Int, hidden: Int), overwrites: Bool) throws {
    let (steps, lanes, inputSize, hidden) = shape
    let rows = steps * lanes
    let input = try drawn(rows, inputSize, 1)
    let given = [
      try drawn(inputSize, 4 * hidden, 2), try drawn(hidden, 4 * hidden, 3), try drawn(1, 4 * hidden, 4),
    ]
    let weights = RecurrentWeights(input: given[0].matrix, hidden: given[1].matrix, bias: given[2].matrix)
    let states = try (5..<9).map { try drawn(lanes, hidden, $0) }
    defer { withExtendedLifetime((given, states)) {} }
    let before = LayerState(hidden: states[0].matrix, cell: states[1].matrix)
    let afterGradient = LayerState(hidden: states[2].matrix, cell: states[3].matrix)
    let outputGradient = try drawn(rows, hidden, 9)

    var results: [[FloatBuffer]] = []
    for instructions in [nil] + Instructions.available.map(Optional.some) {
      let own = instructions != nil
      let plan = try RecurrentPlan(
        cell: .lstm, steps: steps, lanes: lanes, inputSize: inputSize, hiddenSize: hidden, purpose: .training,
        isOwn: own)
      if let instructions { plan.own?.instructions = instructions }
      try plan.pack(weights)
      let output = try Numbers(rows, hidden)
      let (hiddenAfter, cellAfter) = (try Numbers(lanes, hidden), try Numbers(lanes, hidden))
      let after = LayerState(hidden: hiddenAfter.matrix, cell: cellAfter.matrix)
      try plan.forward(input: input.matrix, before: before, output: output.matrix, after: after, bias: weights.bias)
      let inputGradient = try Numbers(rows, inputSize)
      let (hiddenBefore, cellBefore) = (try Numbers(lanes, hidden), try Numbers(lanes, hidden))
      let gradients = [
        try drawn(inputSize, 4 * hidden, 10), try drawn(hidden, 4 * hidden, 11), try drawn(1, 4 * hidden, 12),
      ]
      var polls = 0
      try plan.backward(
        input: input.matrix, before: before, output: output.matrix, after: after, bias: weights.bias,
        outputGradient: outputGradient.matrix, afterGradient: afterGradient, inputGradient: inputGradient.matrix,
        beforeGradient: LayerState(hidden: hiddenBefore.matrix, cell: cellBefore.matrix),
        weightGradients: RecurrentWeights(
          input: gradients[0].matrix, hidden: gradients[1].matrix, bias: gradients[2].matrix), overwrites: overwrites
      ) { polls += 1 }
      #expect(own ? polls >= steps : polls == 0)
      results.append(
        [output, hiddenAfter, cellAfter, inputGradient, hiddenBefore, cellBefore].map(\.buffer)
          + gradients.map(\.buffer))
    }
    // Sums of as many products as there are gates, in another order.
    let rounding = max(2e-6, 1e-7 * Double(4 * hidden).squareRoot())
    for own in results.dropFirst() {
      for (part, (expected, found)) in zip(results[0], own).enumerated() {
        var (difference, size) = (0.0, 0.0)
        for index in 0..<expected.count {
          difference += Double(expected[index] - found[index]) * Double(expected[index] - found[index])
          size += Double(expected[index]) * Double(expected[index])
        }
        #expect(difference.squareRoot() <= rounding * size.squareRoot(), "part \(part)")
      }
    }
  }

  /// Rows that have ended take no time: as many rows go through the products as there are tokens.
  @Test(arguments: [Cell.lstm, .gruSimple])
  func rowsThatHaveEndedAreNotComputed(cell: Cell) throws {
    let lengths = [60, 41, 40, 17, 17, 3, 1]
    let (input, hidden) = (6, 9)
    let active = ActiveRows(counts: (0..<60).map { step in lengths.count { $0 > step } })
    #expect(active.total == lengths.reduce(0, +))
    let given = [
      try drawn(input, cell.gates * hidden, 2), try drawn(hidden, cell.gates * hidden, 3),
      try drawn(1, cell.biases * hidden, 4),
    ]
    let weights = RecurrentWeights(input: given[0].matrix, hidden: given[1].matrix, bias: given[2].matrix)
    defer { withExtendedLifetime(given) {} }
    func states(_ rows: Int) throws -> [Numbers] { try (0..<4).map { _ in try Numbers(rows, hidden) } }
    func layerState(_ hidden: Numbers, _ state: Numbers) -> LayerState {
      LayerState(hidden: hidden.matrix, cell: cell.hasCellState ? state.matrix : nil)
    }
    let x = try drawn(active.total, input, 1)
    let plan = try RecurrentPlan(
      cell: cell, steps: 60, lanes: lengths.count, inputSize: input, hiddenSize: hidden, purpose: .inference,
      rowsEnd: true)
    try plan.pack(weights)
    let (output, own) = (try Numbers(active.total, hidden), try states(lengths.count))
    // What is written behind the last row would be seen.
    try plan.forward(
      input: x.matrix, before: layerState(own[0], own[1]), output: output.matrix, after: layerState(own[2], own[3]),
      bias: weights.bias, active: active)

    for (row, length) in lengths.enumerated() {
      let alone = try RecurrentPlan(
        cell: cell, steps: length, lanes: 1, inputSize: input, hiddenSize: hidden, purpose: .inference)
      try alone.pack(weights)
      let (read, written, its) = (try Numbers(length, input), try Numbers(length, hidden), try states(1))
      for step in 0..<length {
        read.matrix.rows(step..<step + 1).copy(
          from: x.matrix.rows(active.offsets[step] + row..<active.offsets[step] + row + 1))
      }
      try alone.forward(
        input: read.matrix, before: layerState(its[0], its[1]), output: written.matrix,
        after: layerState(its[2], its[3]), bias: weights.bias)
      for step in 0..<length {
        for unit in 0..<hidden {
          #expect(abs(output.matrix.row(active.offsets[step] + row)[unit] - written.matrix.row(step)[unit]) < 1e-6)
        }
      }
      for unit in 0..<hidden { #expect(abs(own[2].matrix.row(row)[unit] - its[2].matrix.row(0)[unit]) < 1e-6) }
    }
  }
}
