import Kernels

/// `weight` [vocabulary, hidden] and `bias` [vocabulary] of the output layer, or their gradients.
struct OutputWeights {
  let weight: MatrixView
  let bias: MatrixView
}

/// The softmax layer, computed in blocks of rows, so that the logits of a large window need not be in memory at once.
final class OutputLayer {
  private let blocks: [Range<Int>]
  private let vocabularySize: Int
  private let logitMemory: FloatBuffer
  private let ones: FloatBuffer
  private let softmax: SoftmaxLoss

  /// Logits of a block at most. Every block reads the weights twice and their gradient once, which are larger than a
  /// cache where the vocabulary is large: few blocks are better than logits that stay in the cache.
  private static let blockLogits = 1 << 22

  /// Rows of a block at most.
  static func blockRows(vocabularySize: Int) -> Int { max(64, blockLogits / vocabularySize) }

  init(rows: Int, vocabularySize: Int) throws {
    self.vocabularySize = vocabularySize
    // As even as can be: one large block and a scrap would waste the scrap's product.
    let blockRows = Self.blockRows(vocabularySize: vocabularySize)
    let count = (rows + blockRows - 1) / blockRows
    blocks = (0..<count).map { rows * $0 / count..<rows * ($0 + 1) / count }
    let most = blocks.map(\.count).max() ?? 0
    logitMemory = try FloatBuffer(most * vocabularySize)
    ones = try FloatBuffer(Array(repeating: 1, count: most))
    softmax = SoftmaxLoss(columns: vocabularySize)
  }

  /// Losses of all rows, the gradient by the layer's input, and the weights' gradients: added to, or written over if they
  /// are `fresh`.
  func learn(
    hidden: MatrixView, weights: OutputWeights, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>, hiddenGradient: MatrixView, gradients: OutputWeights, fresh: Bool
  ) throws {
    for (index, block) in blocks.enumerated() {
      let input = hidden.rows(block)
      let logits = logitMemory.matrix(rows: block.count, columns: vocabularySize)
      try product(input, weights, into: logits)
      try softmax.learn(logits, firstRow: block.lowerBound, targets: targets, losses: losses) { row, token in
        logit(input.row(row), weights, token)
      }
      let logitGradient = logits
      try multiply(logitGradient, weights.weight, into: hiddenGradient.rows(block))
      try multiply(logitGradient.transposed, input, into: gradients.weight, adding: !fresh || index > 0)
      try multiply(
        ones.matrix(rows: 1, columns: block.count), logitGradient, into: gradients.bias, adding: !fresh || index > 0)
    }
  }

  /// Losses of all rows; targets of -1 count nothing.
  func evaluate(
    hidden: MatrixView, weights: OutputWeights, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>
  ) throws {
    for block in blocks {
      let logits = logitMemory.matrix(rows: block.count, columns: vocabularySize)
      try product(hidden.rows(block), weights, into: logits)
      try softmax.evaluate(logits, firstRow: block.lowerBound, targets: targets, losses: losses)
    }
  }

  func logits(hidden: MatrixView, weights: OutputWeights, into logits: MatrixView) throws {
    for block in blocks { try product(hidden.rows(block), weights, into: logits.rows(block)) }
  }

  /// `logits = hidden weight^T + bias`
  private func product(_ hidden: MatrixView, _ weights: OutputWeights, into logits: MatrixView) throws {
    for row in 0..<logits.rows {
      logits.row(row).update(from: weights.bias.pointer, count: logits.columns)
    }
    try multiply(hidden, weights.weight.transposed, into: logits, adding: true)
  }

  /// One of them.
  private func logit(_ hidden: UnsafePointer<Float>, _ weights: OutputWeights, _ token: Int) -> Float {
    let weight = weights.weight.row(token)
    return (0..<weights.weight.columns).reduce(weights.bias.pointer[token]) { $0 + hidden[$1] * weight[$1] }
  }
}
