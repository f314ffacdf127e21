import Kernels

/// What a network's last part makes of the output of the one before: losses, their gradients, distributions. Projection
/// and loss are one.
protocol Head: AnyObject {
  /// Adds each position's loss (-ln p of its target, nats) to `losses`: where there are fewer than positions, to that of its
  /// row. Writes the gradient of their sum by `h` to `dh`, and leaves the weights' in `sink`.
  func learn(
    _ h: MatrixView, targets: UnsafeBufferPointer<Int32>, losses: UnsafeMutableBufferPointer<Double>, dh: MatrixView,
    _ sink: GradientSink
  ) throws
  /// The same without learning; a target of -1 counts nothing.
  func evaluate(
    _ h: MatrixView, targets: UnsafeBufferPointer<Int32>, losses: UnsafeMutableBufferPointer<Double>) throws
  /// Logits of all tokens, [positions, vocabulary].
  func logits(_ h: MatrixView, into logits: MatrixView) throws
}

/// Softmax over the whole vocabulary: `softmax(h W^T + b)`.
struct SoftmaxPart: Sendable {
  let weight: ParameterKey
  let bias: ParameterKey
  let hiddenSize: Int
  let vocabularySize: Int
  /// Whether the weights are another part's too, whose gradient is not final when this one has added to it.
  let isShared: Bool

  /// `shared` is the embedding, where the output layer is to use it (Press and Wolf 2017).
  init(vocabularySize: Int, hiddenSize: Int, shared: ParameterKey?, _ builder: inout NetworkBuilder) {
    weight =
      shared
      ?? builder.add(
        "output.weight", [vocabularySize, hiddenSize], .uniform(range: 1 / Float(hiddenSize).squareRoot()),
        rows: .vocabulary)
    bias = builder.add("output.bias", [vocabularySize], .zero, rows: .vocabulary)
    isShared = shared != nil
    self.hiddenSize = hiddenSize
    self.vocabularySize = vocabularySize
  }

  func makeHead(_ parameters: Parameters, rows: Int) throws -> any Head {
    try SoftmaxHead(self, parameters, rows: rows)
  }

  func makeDecoder(_ parameters: Parameters) throws -> SoftmaxDecoder { try SoftmaxDecoder(self, parameters) }

  func floats(_ shape: NetworkShape) -> Double {
    OutputLayer.floats(
      rows: Double(shape.steps) * Double(shape.lanes), hiddenSize: Double(hiddenSize), vocabularySize: vocabularySize)
  }

  fileprivate func weights(_ parameters: Parameters) -> OutputWeights {
    OutputWeights(weight: parameters[weight], bias: parameters[bias])
  }
}

private final class SoftmaxHead: Head {
  private let part: SoftmaxPart
  private let weights: OutputWeights
  private let layer: OutputLayer

  init(_ part: SoftmaxPart, _ parameters: Parameters, rows: Int) throws {
    self.part = part
    weights = part.weights(parameters)
    layer = try OutputLayer(rows: rows, hiddenSize: part.hiddenSize, vocabularySize: part.vocabularySize)
  }

  func learn(
    _ h: MatrixView, targets: UnsafeBufferPointer<Int32>, losses: UnsafeMutableBufferPointer<Double>, dh: MatrixView,
    _ sink: GradientSink
  ) throws {
    try layer.learn(
      hidden: h, weights: weights, targets: targets, losses: losses, hiddenGradient: dh,
      gradients: part.weights(sink.gradients), overwrites: sink.overwrites)
  }

  func evaluate(
    _ h: MatrixView, targets: UnsafeBufferPointer<Int32>, losses: UnsafeMutableBufferPointer<Double>
  ) throws {
    layer.evaluate(hidden: h, weights: weights, targets: targets, losses: losses)
  }

  func logits(_ h: MatrixView, into logits: MatrixView) throws {
    try layer.logits(hidden: h, weights: weights, into: logits)
  }
}

/// The same for one position, with the weights where they lie.
final class SoftmaxDecoder {
  private let weights: OutputWeights
  private let logits: FloatBuffer

  init(_ part: SoftmaxPart, _ parameters: Parameters) throws {
    weights = part.weights(parameters)
    logits = try FloatBuffer(part.vocabularySize)
  }

  /// Valid until the next.
  func logits(_ h: MatrixView) throws -> UnsafeBufferPointer<Float> {
    let row = logits.matrix(rows: 1, columns: logits.count)
    row.copy(from: weights.bias)
    try multiply(h, weights.weight.transposed, into: row, adding: true)
    return UnsafeBufferPointer(row.values)
  }
}
