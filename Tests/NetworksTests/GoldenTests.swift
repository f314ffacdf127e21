import Foundation
import Kernels
import Networks
import Testing

/// The model against PyTorch (see Tests/Goldens).
@Suite struct GoldenTests {
  struct Golden: Decodable {
    struct Configuration: Decodable {
      let cell: Cell
      let embeddingSize: Int
      let hiddenSizes: [Int]
      let vocabularySize: Int
      let tied: Bool
      let steps: Int
      let lanes: Int
    }
    struct Tensor: Decodable {
      let shape: [Int]
      let values: [Double]
    }
    struct State: Decodable {
      let hidden: Tensor
      let cell: Tensor?
    }
    struct Expected: Decodable {
      let loss: Double
      let laneLosses: Tensor
      let logits: Tensor
      let finalState: [State]
      let gradients: [String: Tensor]
      let initialStateGradients: [State]
    }
    let configuration: Configuration
    let inputs: [Int]
    let targets: [Int]
    let initialState: [State]
    let parameters: [String: Tensor]
    let expected: Expected
  }

  static let names = [
    "lstm-1-untied", "lstm-1-tied", "lstm-2-untied", "lstm-2-tied", "gru-2-untied", "rnn-tanh-1-untied",
    "rnn-relu-1-untied",
  ]

  static func golden(_ name: String) throws -> Golden {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let file = folder.appendingPathComponent("Goldens/\(name).json")
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
  }

  @Test(arguments: names)
  func agreesWithPyTorch(name: String) throws {
    let golden = try Self.golden(name)
    let shape = golden.configuration
    let configuration = ModelConfiguration(
      cell: shape.cell, embeddingSize: shape.embeddingSize, hiddenSizes: shape.hiddenSizes,
      tiedWeights: shape.tied)
    let harness = try ModelHarness(
      configuration, vocabularySize: shape.vocabularySize, steps: shape.steps, lanes: shape.lanes)
    #expect(Set(harness.layout.tensors.map(\.name)) == Set(golden.parameters.keys))
    for view in harness.layout.tensors { #expect(golden.parameters[view.name]?.shape == view.shape) }

    let found = try harness.solve(
      ReferenceModel.Problem(
        inputs: golden.inputs, targets: golden.targets, parameters: golden.parameters.mapValues(\.values),
        initialHidden: golden.initialState.map(\.hidden.values),
        initialCell: golden.initialState.compactMap(\.cell?.values)))
    let expected = golden.expected
    #expect(abs(found.loss - expected.loss) / expected.loss < 1e-5)
    #expect(relativeDifference(found.laneLosses, expected.laneLosses.values) < 1e-5)
    #expect(relativeDifference(found.logits, expected.logits.values) < 1e-5)
    for view in harness.layout.tensors {
      let gradient = try #require(expected.gradients[view.name])
      let difference = relativeDifference(found.gradients[view.name] ?? [], gradient.values)
      #expect(difference < 1e-5, "gradient of \(view.name)")
    }
    for (layer, state) in expected.initialStateGradients.enumerated() {
      #expect(relativeDifference(found.finalHidden[layer], expected.finalState[layer].hidden.values) < 1e-5)
      #expect(relativeDifference(found.initialHiddenGradient[layer], state.hidden.values) < 1e-5)
      if let cell = state.cell {
        #expect(relativeDifference(found.initialCellGradient[layer], cell.values) < 1e-5)
      }
    }
  }
}
