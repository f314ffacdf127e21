import COneDNN

/// The recurrent cell of a layer. `x` is its input, `h` its hidden state, gates in the order given.
public enum Cell: String, Codable, CaseIterable, Sendable {
  /// Long short-term memory; gates input, forget, cell, output (Hochreiter and Schmidhuber 1997, with the
  /// forget gate of Gers et al. 2000).
  case lstm
  /// Gated recurrent unit that resets after the product, as PyTorch and cuDNN do; gates update, reset, new.
  /// Its bias has a fourth part, inside the reset: `n = tanh(Wx + b + r (Uh + b'))`.
  case gru
  /// Gated recurrent unit that resets before the product (Cho et al. 2014): `n = tanh(Wx + U(r h) + b)`.
  case gruVanilla = "gru-vanilla"
  /// Simplified gated unit, with an update gate u and no reset: `c = u c' + (1 - u) c`, `c' = tanh(Wx + Uc + b)`; gates update,
  /// candidate. Its update gate has the other sense than that of `gru`: where it is open, the new state comes in.
  case gruSimple = "gru-simple"
  /// Plain recurrent layer (Elman 1990), `h = tanh(Wx + Uh + b)`.
  case rnnTanh = "rnn-tanh"
  /// The same with a rectifier.
  case rnnRelu = "rnn-relu"
  /// The same with a rectifier that lets a hundredth of what is below zero through (Maas et al. 2013).
  case rnnLeakyRelu = "rnn-leaky-relu"
  /// The same with a logistic function.
  case rnnSigmoid = "rnn-sigmoid"

  /// Matrices a layer multiplies its input (and its state) with.
  public var gates: Int {
    switch self {
    case .lstm: 4
    case .gru, .gruVanilla: 3
    case .gruSimple: 2
    case .rnnTanh, .rnnRelu, .rnnLeakyRelu, .rnnSigmoid: 1
    }
  }

  /// Bias vectors of a layer.
  public var biases: Int { self == .gru ? 4 : gates }

  /// Whether a cell state is carried beside the hidden state.
  public var hasCellState: Bool { self == .lstm }

  /// What parameters of such layers are called: "lstm.0.weightInput".
  public var family: String {
    switch self {
    case .lstm: "lstm"
    case .gru, .gruVanilla, .gruSimple: "gru"
    case .rnnTanh, .rnnRelu, .rnnLeakyRelu, .rnnSigmoid: "rnn"
    }
  }

  /// Slope of the rectifier below zero.
  public static let leakySlope: Float = 0.01

  /// What oneDNN calls it; nil where it has no such cell.
  var kind: dnnl_alg_kind_t? {
    switch self {
    case .lstm: dnnl_vanilla_lstm
    case .gru: dnnl_lbr_gru
    case .gruVanilla: dnnl_vanilla_gru
    case .gruSimple: nil
    case .rnnTanh, .rnnRelu, .rnnLeakyRelu, .rnnSigmoid: dnnl_vanilla_rnn
    }
  }

  /// Of the plain cell, with the slope below zero of a rectifier.
  var activation: (kind: dnnl_alg_kind_t, slope: Float) {
    switch self {
    case .rnnTanh: (dnnl_eltwise_tanh, 0)
    case .rnnRelu: (dnnl_eltwise_relu, 0)
    case .rnnLeakyRelu: (dnnl_eltwise_relu, Self.leakySlope)
    case .rnnSigmoid: (dnnl_eltwise_logistic, 0)
    case .lstm, .gru, .gruVanilla, .gruSimple: (dnnl_alg_kind_undef, 0)
    }
  }
}
