import Foundation
import Kernels
import Networks
import Testing

@Suite struct IncrementalDecoderTests {
  @Test(arguments: Cell.allCases, [true, false])
  func itSaysWhatTheModelOfWindowsSays(cell: Cell, tied: Bool) throws {
    try check(
      ModelConfiguration(
        cell: cell, embeddingSize: 7, hiddenSizes: [tied ? 12 : 33, 9, tied ? 7 : 5], tiedWeights: tied))
  }

  @Test(arguments: [1, 2, 4], [(true, false), (false, true), (false, false)])
  func itSaysWhatAWindowNetworkSays(window: Int, _ uses: (tied: Bool, direct: Bool)) throws {
    var configuration = ModelConfiguration(
      embeddingSize: 7, hiddenSizes: [12, uses.tied ? 7 : 5], tiedWeights: uses.tied)
    configuration.kind = .window
    (configuration.window, configuration.direct) = (window, uses.direct)
    try check(configuration)
  }

  private func check(_ given: ModelConfiguration) throws {
    var configuration = given
    configuration.initialization = Initialization(kind: .uniform, range: 0.8)
    let plan = NetworkPlan(configuration, vocabularySize: 70)
    let parameters = try Parameters(plan.layout)
    parameters.initialize(seed: 3)
    let tokens = (0..<20).map { Int32(($0 * 37 + 11) % 70) }

    let window = try Network(
      plan, parameters: parameters, NetworkShape(steps: tokens.count, lanes: 1, purpose: .inference))
    let expected = try FloatBuffer(tokens.count * 70)
    try tokens.withUnsafeBufferPointer {
      try window.logits(
        inputs: $0, states: RowStates(plan.states, lanes: 1),
        into: expected.matrix(rows: tokens.count, columns: 70))
    }
    let decoder = try IncrementalDecoder(plan, parameters: parameters)
    let context = try decoder.makeContext()
    var difference = 0.0
    var norm = 0.0
    for (row, token) in tokens.enumerated() {
      try decoder.read(token, after: context)
      for (column, logit) in try decoder.logits(after: context).enumerated() {
        let other = expected[row * 70 + column]
        difference += pow(Double(logit - other), 2)
        norm += pow(Double(other), 2)
      }
    }
    #expect(norm > 1 && (difference / norm).squareRoot() < 1e-5)
  }
}
