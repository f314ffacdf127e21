import Kernels

/// How parameters begin.
public struct Initialization: Codable, Equatable, Sendable {
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// Recurrent and output weights uniform in ±1/sqrt(hidden size), biases zero but for the LSTM's forget
    /// gate (`forgetBias`), embedding standard normal (over sqrt(size) when tied to the output layer).
    case standard
    /// Every parameter uniform in ±`range` (Zaremba et al. 2014).
    case uniform
  }

  public var kind: Kind
  /// Half width of the interval of `uniform`.
  public var range: Double
  /// First value of the forget gate's bias under `standard` (Jozefowicz et al. 2015 advise 1).
  public var forgetBias: Double

  public init(kind: Kind = .standard, range: Double = 0.1, forgetBias: Double = 1) {
    self.kind = kind
    self.range = range
    self.forgetBias = forgetBias
  }
}

/// Shape of a language model.
public struct ModelConfiguration: Codable, Equatable, Sendable {
  public var kind = NetworkKind.recurrent
  /// Of `recurrent`.
  public var cell: Cell
  public var embeddingSize: Int
  /// Units of each layer, from the bottom up.
  public var hiddenSizes: [Int]
  /// Of `window`: the tokens that it sees.
  public var window = 4
  /// Of `window`: the function of its layers.
  public var activation = Activation.tanh
  /// Of `window`: whether the output layer sees the embeddings too.
  public var direct = false
  /// Probability with which a value between layers is dropped in training (Zaremba et al. 2014: before,
  /// between and after the recurrent layers, never on the recurrent connections).
  public var dropout: Double
  /// Whether the output layer uses the embedding as its weights (Press and Wolf 2017).
  public var tiedWeights: Bool
  public var initialization: Initialization
  /// A trained model of this shape to begin with, a path; empty: numbers drawn as `initialization` says.
  public var from = ""

  public init(
    cell: Cell = .lstm, embeddingSize: Int = 128, hiddenSizes: [Int] = [128, 128], dropout: Double = 0,
    tiedWeights: Bool = false, initialization: Initialization = Initialization()
  ) {
    self.cell = cell
    self.embeddingSize = embeddingSize
    self.hiddenSizes = hiddenSizes
    self.dropout = dropout
    self.tiedWeights = tiedWeights
    self.initialization = initialization
  }

  /// For people: the cell of a recurrent network, "window 4, tanh" of one that sees four tokens.
  public var summary: String {
    switch kind {
    case .recurrent: cell.rawValue
    case .window: "window \(window), \(activation.rawValue)\(direct ? ", direct" : "")"
    }
  }

  /// Size of what recurrent layer `index` reads.
  public func inputSize(ofLayer index: Int) -> Int {
    index == 0 ? embeddingSize : hiddenSizes[index - 1]
  }

  /// Size of what the output layer reads.
  public var outputSize: Int { kind.architecture.outputSize(of: self) }
}
