import Checkpoints
import Corpus
import Foundation
import Kernels
import Networks
import TestSupport
import Training

@testable import Safetensors

/// A tensor as a file has it, made without the code that is tested.
struct RawTensor {
  var name: String
  var type = "F32"
  var shape: [Int]
  var bytes: [UInt8]
  /// Where the header says that it is; nil: where it is.
  var offsets: [Int]?

  init(_ name: String, _ shape: [Int], _ values: [Float]) {
    self.name = name
    self.shape = shape
    bytes = values.flatMap { littleEndian($0.bitPattern) }
  }

  /// Those of a file of 32-bit floats.
  static func all(in path: String) throws -> [RawTensor] {
    let file = try SafetensorsFile(path)
    return try file.tensors.map { tensor in
      var values: [Float] = []
      try file.forEachNumber(of: tensor) { values.append($1) }
      return RawTensor(tensor.name, tensor.shape, values)
    }
  }
}

func littleEndian(_ integer: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: integer.littleEndian) { Array($0) }
}

/// A file of a header and so many zeros, or the bytes given.
func fileBytes(_ header: String, _ data: [UInt8]) -> [UInt8] {
  littleEndian(UInt64(header.utf8.count)) + header.utf8 + data
}

func fileBytes(_ tensors: [RawTensor], metadata: [String: String]? = nil) throws -> [UInt8] {
  var header: [String: Any] = [:]
  header["__metadata__"] = metadata
  var end = 0
  for tensor in tensors {
    let offsets = tensor.offsets ?? [end, end + tensor.bytes.count]
    header[tensor.name] = ["dtype": tensor.type, "shape": tensor.shape, "data_offsets": offsets] as [String: Any]
    end += tensor.bytes.count
  }
  let json = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
  return fileBytes(String(decoding: json, as: UTF8.self), tensors.flatMap(\.bytes))
}

let words = ["<unk>", "<eos>", "cat", "Käse", "gül", "a\"\\/\u{1}🙂", "dog"]

/// A model of random numbers, zeros of both signs and the smallest numbers among them.
func randomModel(
  _ cell: Cell, tied: Bool = false, embeddingSize: Int = 3, hiddenSizes: [Int] = [4, 4], seed: Int = 1
) throws -> TrainedModel {
  var configuration = RunConfiguration()
  configuration.name = "small"
  configuration.corpus.text = ["a.txt"]
  configuration.model = ModelConfiguration(
    cell: cell, embeddingSize: tied ? hiddenSizes[0] : embeddingSize, hiddenSizes: hiddenSizes, dropout: 0.25,
    tiedWeights: tied)
  var results = RunResults()
  results.test = ["loss": 0.9, "perplexity": exp(0.9)]
  results.best = ["loss": 1.0 / 3, "perplexity": exp(1.0 / 3)]
  results.add([Sample(step: 3, temperature: 0.5, seed: .max, stream: 1, prompt: "a", text: "b\nc \u{1F642}")])
  var progress = TrainingProgress()
  progress.best = 1.0 / 3
  let card = ModelMetadata(
    configuration: configuration, vocabulary: try Vocabulary(kind: .words, entries: words), progress: progress,
    results: results, corpus: CorpusIdentity(),
    provenance: Provenance(program: "0", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 2))
  let parameters = try Parameters(card.parameterLayout)
  var random = SeededRandom(seed: seed)
  for view in parameters.layout.tensors {
    for place in view.range {
      parameters.buffer[place] =
        switch Int.random(in: 0..<20, using: &random) {
        case 0: -0.0
        case 1: 0
        case 2: .leastNonzeroMagnitude
        default: .random(in: -1...1, using: &random)
        }
    }
  }
  return TrainedModel(card: card, parameters: parameters)
}

extension TrainedModel {
  var bits: [UInt32] { parameters.buffer.values.map(\.bitPattern) }

  /// Logits after some tokens, read from zero state.
  func logits(after tokens: [Int32]) throws -> [Double] {
    let vocabulary = card.vocabulary.count
    let plan = NetworkPlan(card.configuration.model, vocabularySize: vocabulary)
    let network = try Network(
      plan, parameters: parameters, NetworkShape(steps: tokens.count, lanes: 1, purpose: .inference))
    let logits = try FloatBuffer(tokens.count * vocabulary)
    try tokens.withUnsafeBufferPointer {
      try network.logits(
        inputs: $0, states: RowStates(plan.states, lanes: 1),
        into: logits.matrix(rows: tokens.count, columns: vocabulary))
    }
    return logits.values.suffix(vocabulary).map(Double.init)
  }
}

/// `RNNModel` in double precision, by the equations in PyTorch's documentation of LSTM, GRU and RNN.
struct TorchReference {
  let tensors: [String: RawTensor]

  init(_ tensors: [RawTensor]) {
    self.tensors = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
  }

  private func values(_ name: String) -> [Double] {
    guard let bytes = tensors[name]?.bytes else { return [] }
    return stride(from: 0, to: bytes.count, by: 4).map { place in
      Double(Float(bitPattern: bytes[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }))
    }
  }

  /// `weight` x + `bias`.
  private func linear(_ weight: String, _ bias: String, _ x: [Double]) -> [Double] {
    let matrix = values(weight)
    return values(bias).enumerated().map { row, bias in
      x.indices.reduce(bias) { $0 + matrix[row * x.count + $1] * x[$1] }
    }
  }

  func logits(_ cell: Cell, after tokens: [Int32]) -> [Double] {
    let layers = (0...).prefix { tensors["rnn.weight_ih_l\($0)"] != nil }.count
    let sizes = (0..<layers).map { tensors["rnn.weight_hh_l\($0)"]?.shape[1] ?? 0 }
    let embedding = values("encoder.weight")
    let width = tensors["encoder.weight"]?.shape[1] ?? 0
    var hidden = sizes.map { [Double](repeating: 0, count: $0) }
    var cells = hidden
    for token in tokens {
      var x = Array(embedding[Int(token) * width..<(Int(token) + 1) * width])
      for layer in 0..<layers {
        let size = sizes[layer]
        let a = linear("rnn.weight_ih_l\(layer)", "rnn.bias_ih_l\(layer)", x)
        let b = linear("rnn.weight_hh_l\(layer)", "rnn.bias_hh_l\(layer)", hidden[layer])
        for j in 0..<size {
          func sum(_ gate: Int) -> Double { a[gate * size + j] + b[gate * size + j] }
          switch cell {
          case .lstm:
            cells[layer][j] = sigmoid(sum(1)) * cells[layer][j] + sigmoid(sum(0)) * tanh(sum(2))
            hidden[layer][j] = sigmoid(sum(3)) * tanh(cells[layer][j])
          case .gru:
            let (reset, update) = (sigmoid(sum(0)), sigmoid(sum(1)))
            let new = tanh(a[2 * size + j] + reset * b[2 * size + j])
            hidden[layer][j] = (1 - update) * new + update * hidden[layer][j]
          case .rnnRelu: hidden[layer][j] = max(0, sum(0))
          default: hidden[layer][j] = tanh(sum(0))
          }
        }
        x = hidden[layer]
      }
    }
    return linear("decoder.weight", "decoder.bias", hidden[layers - 1])
  }

  private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
}

/// Norm of the difference over the norm of what was expected.
func relativeDifference(_ found: [Double], _ expected: [Double]) -> Double {
  guard found.count == expected.count else { return .infinity }
  func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
  return norm(zip(found, expected).map { $0 - $1 }) / norm(expected)
}
