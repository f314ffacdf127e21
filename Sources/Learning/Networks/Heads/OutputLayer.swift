import Kernels

/// `weight` [vocabulary, hidden] and `bias` [vocabulary] of the output layer, or their gradients.
struct OutputWeights {
  let weight: MatrixView
  let bias: MatrixView
}

/// The softmax layer over the positions of a window.
///
/// Logits stand transposed, [vocabulary, positions], so that the weights are read as they lie. A part of the vocabulary passes
/// from one computation to the next while it is in the cache: on the way there the product and its exponentials, on the way
/// back their scale and two products. Where the logits of all positions would take too much memory, positions are taken in
/// blocks.
final class OutputLayer {
  private let blockRows: Int
  private let vocabularySize: Int
  private let logitMemory: FloatBuffer
  private let softmax: SoftmaxLoss
  private let timesHidden: PanelProduct
  /// The gradient by the layer's input of a block, transposed [hidden, positions with space], as its products with the weights
  /// are faster so: positions are whole vectors.
  private let hiddenGradientMemory: FloatBuffer

  /// Logits of a block at most: every block reads the weights twice and their gradient once.
  private static let blockLogits = 1 << 22
  /// Parts of the vocabulary whose logits a core's own cache keeps from one product to the next.
  private static let partsTogether = 7

  /// Positions of a block at most.
  static func blockRows(vocabularySize: Int) -> Int { max(64, blockLogits / vocabularySize) }

  convenience init(rows: Int, hiddenSize: Int, vocabularySize: Int) throws {
    try self.init(
      rows: rows, hiddenSize: hiddenSize, vocabularySize: vocabularySize,
      blockRows: Self.blockRows(vocabularySize: vocabularySize))
  }

  init(rows: Int, hiddenSize: Int, vocabularySize: Int, blockRows: Int) throws {
    self.vocabularySize = vocabularySize
    self.blockRows = blockRows
    let most = min(rows, blockRows)
    logitMemory = try FloatBuffer(vocabularySize * SoftmaxLoss.rowStride(of: most))
    softmax = try SoftmaxLoss(vocabularySize: vocabularySize, positions: most)
    timesHidden = try PanelProduct(depth: hiddenSize, columns: most)
    hiddenGradientMemory = try FloatBuffer(hiddenSize * SoftmaxLoss.rowStride(of: most))
  }

  /// As even as can be: one large block and a scrap would waste the scrap's product.
  private func blocks(of rows: Int) -> [Range<Int>] {
    let count = (rows + blockRows - 1) / blockRows
    return (0..<count).map { rows * $0 / count..<rows * ($0 + 1) / count }
  }

  /// Floats of one for so many positions.
  static func floats(rows: Double, hiddenSize: Double, vocabularySize: Int) -> Double {
    let positions = min(rows, Double(blockRows(vocabularySize: vocabularySize)))
    let space = Double(SoftmaxLoss.rowStride(of: 1))
    return (positions + space) * (Double(vocabularySize) * 1.02 + 2 * hiddenSize)
  }

  /// Losses of all positions, the gradient by the layer's input, and the weights' gradients: added to, or written over if they
  /// are `overwrites`.
  func learn(
    hidden: MatrixView, weights: OutputWeights, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>, hiddenGradient: MatrixView, gradients: OutputWeights, overwrites: Bool
  ) throws {
    precondition(targets.allSatisfy { $0 >= 0 }, "what is learned from has targets")
    if overwrites { gradients.bias.clear() }
    for (index, block) in blocks(of: hidden.rows).enumerated() {
      let (hidden, hiddenGradient) = (hidden.rows(block), hiddenGradient.rows(block))
      let targets = UnsafeBufferPointer(rebasing: targets[block])
      let logits = exponentials(hidden, weights, targets)
      softmax.addLosses(targets: targets, firstPosition: block.lowerBound, to: losses)

      let transposed = StridedMatrix(
        pointer: hiddenGradientMemory.pointer, rows: hiddenGradient.columns, columns: hiddenGradient.rows,
        stride: logits.stride)
      for first in stride(from: 0, to: softmax.parts.count, by: Self.partsTogether) {
        let together = first..<min(first + Self.partsTogether, softmax.parts.count)
        forEachPart(together) { part in
          softmax.differentiate(
            part: part, logits.rows(softmax.parts[part]), targets: targets, biasGradient: gradients.bias.pointer)
        }
        let rows = softmax.parts[first].lowerBound..<softmax.parts[together.upperBound - 1].upperBound
        let logitGradient = logits.rows(rows)
        try multiply(logitGradient, hidden, into: gradients.weight.rows(rows), adding: !overwrites || index > 0)
        try multiply(
          weights.weight.rows(rows).transposed, logitGradient.withSpace, into: transposed.withSpace, adding: first > 0)
      }
      transposed.transpose(into: hiddenGradient)
    }
  }

  /// Losses of all positions; targets of -1 count nothing.
  func evaluate(
    hidden: MatrixView, weights: OutputWeights, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>
  ) {
    for block in blocks(of: hidden.rows) {
      let targets = UnsafeBufferPointer(rebasing: targets[block])
      _ = exponentials(hidden.rows(block), weights, targets)
      softmax.addLosses(targets: targets, firstPosition: block.lowerBound, to: losses)
    }
  }

  /// `logits = hidden weight^T + bias`, [positions, vocabulary].
  func logits(hidden: MatrixView, weights: OutputWeights, into logits: MatrixView) throws {
    for row in 0..<logits.rows {
      logits.row(row).update(from: weights.bias.pointer, count: logits.columns)
    }
    try multiply(hidden, weights.weight.transposed, into: logits, adding: true)
  }

  /// Exponentials of a block's logits, as `softmax` keeps them.
  private func exponentials(
    _ hidden: MatrixView, _ weights: OutputWeights, _ targets: UnsafeBufferPointer<Int32>
  ) -> StridedMatrix {
    let logits = StridedMatrix(
      pointer: logitMemory.pointer, rows: vocabularySize, columns: hidden.rows,
      stride: SoftmaxLoss.rowStride(of: hidden.rows))
    timesHidden.pack(hidden.transposed)
    forEachPart(softmax.parts.indices) { part in
      let rows = logits.rows(softmax.parts[part])
      timesHidden.multiplyAlone(weights.weight.rows(softmax.parts[part]), into: rows)
      softmax.takeExponentials(ofPart: part, rows, bias: weights.bias.pointer, targets: targets)
    }
    return logits
  }

  /// On all threads, each of which has parts that follow each other.
  private func forEachPart(_ parts: Range<Int>, _ body: (Int) -> Void) {
    let threads = min(OneDNN.threads, parts.count)
    OneDNN.concurrently(threads) { thread in
      let own = parts.count * thread / threads..<parts.count * (thread + 1) / threads
      for part in own { body(parts.lowerBound + part) }
    }
  }
}
