import Foundation
import Kernels
import Networks
import Testing

/// Networks that PyTorch has no layer for, and packed sequences, against PyTorch (Tests/Goldens/make_network_goldens.py).
@Suite struct NetworkGoldenTests {
  struct Golden: Decodable {
    struct Configuration: Decodable {
      let kind: NetworkKind
      let cell: Cell?
      let embeddingSize: Int
      let hiddenSizes: [Int]
      let window: Int?
      let activation: Activation?
      let direct: Bool?
      let tied: Bool
      let vocabularySize: Int

      var model: ModelConfiguration {
        var model = ModelConfiguration(
          cell: cell ?? .lstm, embeddingSize: embeddingSize, hiddenSizes: hiddenSizes, tiedWeights: tied)
        model.kind = kind
        model.window = window ?? model.window
        model.activation = activation ?? model.activation
        model.direct = direct ?? model.direct
        return model
      }
    }
    struct Expected: Decodable {
      let loss: Double
      let logits: GoldenTests.Golden.Tensor
      let gradients: [String: GoldenTests.Golden.Tensor]
    }
    let configuration: Configuration
    let active: [Int]
    let inputs: [Int32]
    let targets: [Int32]
    let context: [Double]?
    let parameters: [String: GoldenTests.Golden.Tensor]
    let expected: Expected
  }

  static let names = [
    "window-1-direct", "window-2-tied", "gru-simple", "gru-vanilla", "rnn-leaky-relu", "rnn-sigmoid", "packed-lstm",
  ]

  private static func golden(_ name: String) throws -> Golden {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try JSONDecoder().decode(
      Golden.self, from: Data(contentsOf: folder.appendingPathComponent("Goldens/\(name).json")))
  }

  /// What is registered without values of PyTorch fails here.
  @Test func everyKindAndCellHasAGolden() throws {
    let configurations = try Self.names.map { try Self.golden($0).configuration }
    #expect(Set(configurations.map(\.kind)) == Set(NetworkKind.allCases))
    let cells = try GoldenTests.names.map { try GoldenTests.golden($0).configuration.cell }
    #expect(Set(cells + configurations.compactMap(\.cell)) == Set(Cell.allCases))
  }

  @Test(arguments: names)
  func agreesWithPyTorch(name: String) throws {
    let golden = try Self.golden(name)
    let plan = NetworkPlan(golden.configuration.model, vocabularySize: golden.configuration.vocabularySize)
    #expect(Set(plan.layout.tensors.map(\.name)) == Set(golden.parameters.keys))
    let parameters = try Parameters(plan.layout)
    for tensor in plan.layout.tensors {
      let given = try #require(golden.parameters[tensor.name])
      #expect(given.shape == tensor.shape)
      for (index, value) in given.values.enumerated() { parameters.buffer[tensor.offset + index] = Float(value) }
    }

    let active = ActiveRows(counts: golden.active)
    let shape = NetworkShape(
      steps: active.steps, lanes: active.counts[0], purpose: .training, rowsEnd: active.counts.last != active.counts[0])
    let network = try Network(plan, parameters: parameters, shape)
    let states = try RowStates(plan.states, lanes: shape.lanes)
    for (index, token) in (golden.context ?? []).enumerated() { states["context"]?.pointer[index] = Float(token + 1) }
    let gradients = try Gradients(plan.layout)
    var losses = [0.0]
    try golden.inputs.withUnsafeBufferPointer { inputs in
      try golden.targets.withUnsafeBufferPointer { targets in
        try losses.withUnsafeMutableBufferPointer {
          try network.learn(
            inputs: inputs, targets: targets, states: states, dropout: nil, losses: $0, sink: GradientSink(gradients),
            active: shape.rowsEnd ? active : nil)
        }
      }
    }
    #expect(abs(losses[0] - golden.expected.loss) / golden.expected.loss < 1e-5)
    for tensor in plan.layout.tensors {
      let expected = try #require(golden.expected.gradients[tensor.name]).values
      let found = gradients.buffer.values[tensor.range].map(Double.init)
      #expect(relativeDifference(found, expected) < 1e-5, "gradient of \(tensor.name)")
    }
  }
}
