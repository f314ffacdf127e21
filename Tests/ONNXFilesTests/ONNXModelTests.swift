import Checkpoints
import Files
import Foundation
import Kernels
import Networks
import TestSupport
import Testing

@testable import ONNXFiles

@Suite struct ONNXModelTests {
  private func save(_ model: TrainedModel, _ precision: Precision = .single) throws -> ModelProto {
    let folder = try TemporaryFolder()
    try model.save(onnx: folder.file("a.onnx"), precision: precision)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.onnx")))
    #expect(bytes.count == (try ONNXFile(model.card, precision: precision, path: "a").size))
    return try ModelProto(serializedBytes: bytes)
  }

  private struct Example {
    let steps = 4
    let lanes = 3
    let tokens: [Int32] = [2, 0, 5, 1, 3, 3, 4, 2, 0, 5, 1, 2]

    /// A state for each of the graph's inputs of that name.
    func states(_ graph: GraphProto) -> [String: Interpreter.Tensor] {
      var random = SeededRandom(seed: 5)
      var states: [String: Interpreter.Tensor] = [:]
      for input in graph.input.dropFirst() {
        let size = Int(input.type.tensorType.shape.dim[1].dimValue)
        // Numbers that 32 bits hold exactly.
        let values = (0..<lanes * size).map { _ in
          // Of a window network, tokens from 1 and none.
          input.name == "context"
            ? Double(Int.random(in: 0...6, using: &random)) : Double(Float.random(in: -1...1, using: &random))
        }
        states[input.name] = Interpreter.Tensor(dims: [lanes, size], values: values)
      }
      return states
    }

    var input: Interpreter.Tensor { Interpreter.Tensor(dims: [steps, lanes], values: tokens.map(Double.init)) }
  }

  /// Logits and next states of the real model, by the graph's names.
  private func solve(_ model: TrainedModel, _ example: Example, _ states: [String: Interpreter.Tensor]) throws
    -> [String: Interpreter.Tensor]
  {
    let configuration = model.card.configuration.model
    let vocabularySize = model.card.vocabulary.count
    let plan = NetworkPlan(configuration, vocabularySize: vocabularySize)
    let state = try RowStates(plan.states, lanes: example.lanes)
    // The graph says `hidden.0` for `lstm.0.hidden`, and `context` for itself.
    let names = Dictionary(
      uniqueKeysWithValues: plan.states.map { spec in
        let parts = spec.name.split(separator: ".")
        return (parts.count == 3 ? "\(parts[2]).\(parts[1])" : spec.name, spec.name)
      })
    for (graphName, name) in names {
      guard let into = state[name], let values = states[graphName]?.values else { continue }
      for (index, value) in values.enumerated() { into.pointer[index] = Float(value) }
    }
    let rows = example.steps * example.lanes
    let logits = try FloatBuffer(rows * vocabularySize)
    let network = try Network(
      plan, parameters: model.parameters,
      NetworkShape(steps: example.steps, lanes: example.lanes, purpose: .inference))
    try example.tokens.withUnsafeBufferPointer {
      try network.logits(inputs: $0, states: state, into: logits.matrix(rows: rows, columns: vocabularySize))
    }
    var results = [
      "logits": Interpreter.Tensor(
        dims: [example.steps, example.lanes, vocabularySize], values: logits.values.map(Double.init))
    ]
    for (graphName, name) in names {
      results["\(graphName).next"] = state[name].map {
        Interpreter.Tensor(dims: [example.lanes, $0.columns], values: $0.values.map(Double.init))
      }
    }
    return results
  }

  /// The largest difference of any two numbers.
  private func difference(_ one: Interpreter.Tensor, _ other: Interpreter.Tensor) -> Double {
    guard one.dims == other.dims, one.values.count == other.values.count else { return .infinity }
    return zip(one.values, other.values).map { abs($0 - $1) }.max() ?? 0
  }

  @Test(arguments: Cell.allCases, [false, true])
  func graphComputesWhatTheModelDoes(cell: Cell, tied: Bool) throws {
    try compare(ModelConfiguration(cell: cell, embeddingSize: 4, hiddenSizes: [5, tied ? 4 : 3], tiedWeights: tied))
  }

  @Test(arguments: Activation.allCases, [(2, true, false), (3, false, true), (5, false, false)])
  func graphComputesWhatAWindowNetworkDoes(activation: Activation, _ uses: (window: Int, tied: Bool, direct: Bool))
    throws
  {
    var configuration = ModelConfiguration(
      embeddingSize: 4, hiddenSizes: [5, uses.tied ? 4 : 3], tiedWeights: uses.tied)
    configuration.kind = .window
    (configuration.activation, configuration.window, configuration.direct) = (activation, uses.window, uses.direct)
    try compare(configuration)
  }

  private func compare(_ configuration: ModelConfiguration) throws {
    let model = try Models.model(configuration)
    let graph = try save(model).graph
    let example = Example()
    let states = example.states(graph)
    let expected = try solve(model, example, states)
    let found = try Interpreter.run(graph, states.merging(["tokens": example.input]) { $1 })
    #expect(Set(graph.output.map(\.name)) == Set(expected.keys))
    for (name, value) in expected { #expect(difference(try #require(found[name]), value) < 1e-5, "\(name)") }
    // The states count: without them the logits are others.
    let still = states.mapValues { Interpreter.Tensor(dims: $0.dims, values: $0.values.map { _ in 0 }) }
    let other = try Interpreter.run(graph, still.merging(["tokens": example.input]) { $1 })
    #expect(difference(try #require(other["logits"]), try #require(expected["logits"])) > 1e-3)
  }

  @Test func halfPrecisionIsTurnedBackInTheGraph() throws {
    let model = try Models.model(ModelConfiguration(embeddingSize: 4, hiddenSizes: [5, 4], tiedWeights: true))
    let graph = try save(model, .half).graph
    #expect(graph.initializer.allSatisfy { $0.dataType == .int64 || $0.dataType == .float16 })
    let rounded = TrainedModel(card: model.card, parameters: try Parameters(model.parameters.layout))
    for (index, value) in model.parameters.buffer.values.enumerated() {
      rounded.parameters.buffer[index] = Float(Float16(value))
    }
    let example = Example()
    let states = example.states(graph)
    let found = try Interpreter.run(graph, states.merging(["tokens": example.input]) { $1 })
    for (name, value) in try solve(rounded, example, states) {
      #expect(difference(try #require(found[name]), value) < 1e-5, "\(name)")
    }
  }

  @Test func weightsAreWhereTheOperatorReadsThem() throws {
    let model = try Models.model(ModelConfiguration(embeddingSize: 4, hiddenSizes: [5, 3]))
    let graph = try save(model).graph
    func stored(_ name: String) throws -> Interpreter.Tensor {
      try Interpreter.tensor(try #require(graph.initializer.first { $0.name == name }))
    }
    // Gates of ours: input, forget, cell, output. ONNX's: input, output, forget, cell.
    let ours = RecurrentWeights(
      input: model.parameters.matrix("lstm.1.weightInput"), hidden: model.parameters.matrix("lstm.1.weightHidden"),
      bias: model.parameters.matrix("lstm.1.bias"))
    let (w, r, b) = (try stored("lstm.1.W"), try stored("lstm.1.R"), try stored("lstm.1.B"))
    #expect(w.dims == [1, 12, 5] && r.dims == [1, 12, 3] && b.dims == [1, 24])
    for (theirs, gate) in [(0, 0), (1, 3), (2, 1), (3, 2)] {
      for unit in 0..<3 {
        for input in 0..<5 {
          #expect(w.values[(theirs * 3 + unit) * 5 + input] == Double(ours.input.row(input)[gate * 3 + unit]))
        }
        for input in 0..<3 {
          #expect(r.values[(theirs * 3 + unit) * 3 + input] == Double(ours.hidden.row(input)[gate * 3 + unit]))
        }
        #expect(b.values[theirs * 3 + unit] == Double(ours.bias.pointer[gate * 3 + unit]))
      }
    }
    #expect(b.values[12...].allSatisfy { $0 == 0 })
    #expect(try stored("embedding").values == model.parameters.matrix("embedding").values.map(Double.init))
    #expect(try stored("output.weight").dims == [3, 6])
    #expect(try stored("output.weight").values[7] == Double(model.parameters.matrix("output.weight").row(1)[1]))
  }

  @Test func namesAreGivenOnce() throws {
    let proto = try save(Models.model(ModelConfiguration(embeddingSize: 4, hiddenSizes: [5, 3])))
    #expect(proto.irVersion == 8 && proto.opsetImport.map(\.version) == [17] && proto.graph.name == "run")
    let graph = proto.graph
    let values = graph.input.map(\.name) + graph.initializer.map(\.name) + graph.node.flatMap(\.output)
    #expect(Set(values).count == values.count)
    #expect(Set(graph.node.map(\.name)).count == graph.node.count)
    #expect(Set(proto.metadataProps.map(\.key)).count == proto.metadataProps.count)
    // A reader of proto2 looks whether an attribute is there: a zero would not be.
    #expect(graph.node.flatMap(\.attribute).allSatisfy { $0.type == .int ? $0.i != 0 : !$0.strings.isEmpty })
  }

  @Test func whatDoesNotFitIsRefusedBeforeAnythingIsBuilt() throws {
    let large = try Models.card(ModelConfiguration(embeddingSize: 8, hiddenSizes: [11_700, 64]))
    expectError("a.onnx: expected at most 2147483647 bytes", "takes 2204", "half precision") {
      _ = try ONNXFile(large, precision: .single, path: "a.onnx")
    }
    #expect(try ONNXFile(large, precision: .half, path: "a.onnx").size < 1_103_000_000)
  }

  @Test func aFileIsWrittenWholeOrNotAtAll() throws {
    let folder = try TemporaryFolder()
    let model = try Models.model(ModelConfiguration(embeddingSize: 4, hiddenSizes: [5]))
    model.parameters.matrix("lstm.0.weightHidden").row(2)[7] = 65_520
    try folder.write("a.onnx", "before")
    expectError("lstm.0.R", "65520", "65504") { try model.save(onnx: folder.file("a.onnx"), precision: .half) }
    #expect(try FileSystem.list(folder.path) == ["a.onnx"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("a.onnx"))) == Data("before".utf8))
    expectError("missing/a.onnx") { try model.save(onnx: folder.file("missing/a.onnx"), precision: .single) }
    try model.save(onnx: folder.file("a.onnx"), precision: .single)
    #expect(try FileSystem.list(folder.path) == ["a.onnx"])
    #expect(try ONNXSummary(folder.file("a.onnx")).initializerCount == 8)
  }
}
