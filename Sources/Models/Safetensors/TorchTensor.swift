import Kernels
import Networks

/// A tensor of the state dict of `RNNModel` in PyTorch's examples (word_language_model), and where its numbers are
/// among our parameters.
///
/// For vocabulary V, embedding E, hidden size H, G gates, and layer k with input I: `encoder.weight` [V, E];
/// `rnn.weight_ih_lk` [G x H, I], `rnn.weight_hh_lk` [G x H, H], `rnn.bias_ih_lk` and `rnn.bias_hh_lk` [G x H];
/// `decoder.weight` [V, H], which is `encoder.weight` once more if tied; `decoder.bias` [V].
struct TorchTensor {
  let name: String
  let shape: [Int]
  /// Our name of the parameter that holds its numbers.
  let parameter: String
  /// Whether its rows are columns there.
  var isTransposed = false
  /// For each of its blocks of rows, one a gate, the block there.
  var gates = [0]
  /// So many of its first blocks have no place of their own: PyTorch adds them to those of `bias_ih`.
  var addedGates = 0

  /// All tensors of a model; `gates` are those of a recurrent one.
  static func all(_ model: ModelConfiguration, gates: [Int], vocabularySize: Int) -> [TorchTensor] {
    [TorchTensor(name: encoder, shape: [vocabularySize, model.embeddingSize], parameter: "embedding")]
      + (model.kind == .window ? dense(model) : recurrent(model, gates)) + [
        TorchTensor(
          name: decoder, shape: [vocabularySize, model.outputSize],
          parameter: model.tiedWeights ? "embedding" : "output.weight"),
        TorchTensor(name: "decoder.bias", shape: [vocabularySize], parameter: "output.bias"),
      ]
  }

  /// The layers of a window network, each an nn.Linear: `hidden.k.weight` [H, I] and `hidden.k.bias` [H].
  private static func dense(_ model: ModelConfiguration) -> [TorchTensor] {
    let sizes = [model.window * model.embeddingSize] + model.hiddenSizes
    return zip(sizes, model.hiddenSizes).enumerated().flatMap { layer, size in
      [
        TorchTensor(
          name: "hidden.\(layer).weight", shape: [size.1, size.0], parameter: "dense.\(layer).weight",
          isTransposed: true),
        TorchTensor(name: "hidden.\(layer).bias", shape: [size.1], parameter: "dense.\(layer).bias"),
      ]
    }
  }

  private static func recurrent(_ model: ModelConfiguration, _ gates: [Int]) -> [TorchTensor] {
    let family = model.cell.family
    var tensors: [TorchTensor] = []
    for (layer, hidden) in model.hiddenSizes.enumerated() {
      let rows = gates.count * hidden
      tensors += [
        TorchTensor(
          name: "rnn.weight_ih_l\(layer)", shape: [rows, model.inputSize(ofLayer: layer)],
          parameter: "\(family).\(layer).weightInput", isTransposed: true, gates: gates),
        TorchTensor(
          name: "rnn.weight_hh_l\(layer)", shape: [rows, hidden], parameter: "\(family).\(layer).weightHidden",
          isTransposed: true, gates: gates),
        TorchTensor(
          name: "rnn.bias_ih_l\(layer)", shape: [rows], parameter: "\(family).\(layer).bias", gates: gates),
        hiddenBias(model.cell, layer, rows, gates),
      ]
    }
    return tensors
  }

  /// We have one bias where PyTorch has two, but for the new gate of a GRU: the second is inside the reset, and the
  /// fourth part of ours.
  private static func hiddenBias(_ cell: Cell, _ layer: Int, _ rows: Int, _ gates: [Int]) -> TorchTensor {
    let isApart = cell == .gru
    return TorchTensor(
      name: "rnn.bias_hh_l\(layer)", shape: [rows], parameter: "\(cell.family).\(layer).bias",
      gates: isApart ? gates.dropLast() + [3] : gates, addedGates: isApart ? gates.count - 1 : gates.count)
  }

  static let encoder = "encoder.weight"
  static let decoder = "decoder.weight"

  var rows: Int { shape[0] }
  var columns: Int { shape.count > 1 ? shape[1] : 1 }

  /// Where a row stands in a buffer of ours: its first number, and how far it is from one to the next.
  func place(ofRow row: Int, in layout: ParameterLayout) -> (start: Int, stride: Int) {
    let view = layout.tensor(parameter)
    let block = rows / gates.count
    let ours = gates[row / block] * block + row % block
    return isTransposed ? (view.offset + ours, view.shape[1]) : (view.offset + ours * columns, 1)
  }

  /// Whether PyTorch adds a row to another.
  func isAdded(_ row: Int) -> Bool { row / (rows / gates.count) < addedGates }
}

extension Cell {
  /// Our place of each gate in PyTorch's order; nil if PyTorch has no such layer. Its LSTM has input, forget, cell,
  /// output as we do, its GRU reset, update, new.
  var torchGates: [Int]? {
    switch self {
    case .lstm: [0, 1, 2, 3]
    case .gru: [1, 0, 2]
    case .rnnTanh, .rnnRelu: [0]
    case .gruVanilla, .gruSimple, .rnnLeakyRelu, .rnnSigmoid: nil
    }
  }
}
