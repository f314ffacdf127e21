import Foundation
import Kernels
import Networks
import Testing

@Suite struct StepwiseModelTests {
  @Test(arguments: Cell.allCases, [true, false])
  func itSaysWhatTheModelOfWindowsSays(cell: Cell, tied: Bool) throws {
    let configuration = ModelConfiguration(
      cell: cell, embeddingSize: 7, hiddenSizes: [tied ? 12 : 33, 9, tied ? 7 : 5], tiedWeights: tied)
    let parameters = try Parameters(ParameterLayout(configuration, vocabularySize: 70))
    var initial = configuration
    initial.initialization = Initialization(kind: .uniform, range: 0.8)
    parameters.initialize(initial, seed: 3)
    let tokens = (0..<20).map { Int32(($0 * 37 + 11) % 70) }

    let window = try LanguageModel(
      configuration, vocabularySize: 70, parameters: parameters, steps: tokens.count, lanes: 1, purpose: .inference)
    let expected = try FloatBuffer(tokens.count * 70)
    try tokens.withUnsafeBufferPointer {
      try window.logits(
        inputs: $0, state: RecurrentState(configuration, lanes: 1),
        into: expected.matrix(rows: tokens.count, columns: 70))
    }
    let stepwise = try IncrementalDecoder(configuration, vocabularySize: 70, parameters: parameters)
    var difference = 0.0
    var norm = 0.0
    for (row, token) in tokens.enumerated() {
      try stepwise.read(token)
      for (column, logit) in try stepwise.logits().enumerated() {
        let other = expected[row * 70 + column]
        difference += pow(Double(logit - other), 2)
        norm += pow(Double(other), 2)
      }
    }
    #expect(norm > 1 && (difference / norm).squareRoot() < 1e-5)
  }
}
