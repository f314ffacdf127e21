import COneDNN

/// Softmax and cross-entropy over blocks of rows, in place: oneDNN's log-softmax, then its exponential.
///
/// A block of `rows` x `columns` logits becomes log-probabilities, the targets' are read off as losses, and,
/// if asked, the block becomes the gradient of the summed loss by the logits: `p - onehot(target)`.
public final class SoftmaxLoss {
  public let columns: Int
  private var blocks: [Int: Block] = [:]

  public init(columns: Int) {
    self.columns = columns
  }

  /// Turns logits into log-probabilities, in place.
  func logProbabilities(_ logits: MatrixView) throws {
    precondition(logits.columns == columns)
    try block(logits.rows).logSoftmax(logits)
  }

  /// Turns logits into probabilities, in place.
  public func probabilities(_ logits: MatrixView) throws {
    try logProbabilities(logits)
    try block(logits.rows).exponential(logits)
  }

  /// Adds `-ln p(target)` of each row, in nats, to `losses[row % losses.count]`: rows are time-major, so this
  /// is the loss of each lane. A target of -1 counts nothing. With `gradient` the block becomes the gradient
  /// (every target must then be given); without, log-probabilities.
  public func apply(
    _ logits: MatrixView, firstRow: Int, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>, gradient: Bool
  ) throws {
    try logProbabilities(logits)
    for index in 0..<logits.rows {
      let row = firstRow + index
      let target = Int(targets[row])
      guard target >= 0 else { continue }
      precondition(target < columns, "token \(target) in a vocabulary of \(columns)")
      losses[row % losses.count] -= Double(logits.pointer[index * columns + target])
    }
    guard gradient else { return }
    try block(logits.rows).exponential(logits)
    for index in 0..<logits.rows {
      let target = Int(targets[firstRow + index])
      precondition(target >= 0, "a row without a target has no gradient")
      logits.pointer[index * columns + target] -= 1
    }
  }

  /// Primitives are made for a number of rows: that of all blocks but the last, and the last one's.
  private func block(_ rows: Int) throws -> Block {
    if let block = blocks[rows] { return block }
    let block = try Block(rows: rows, columns: columns)
    blocks[rows] = block
    return block
  }

  private final class Block {
    private let tensor: Tensor
    private let logSoftmaxPrimitive: Primitive
    private let exponentialPrimitive: Primitive

    init(rows: Int, columns: Int) throws {
      let layout = try Layout([rows, columns], dnnl_ab)
      tensor = try Tensor(layout)
      let arguments = [DNNL_ARG_SRC: tensor, DNNL_ARG_DST: tensor]
      logSoftmaxPrimitive = try Primitive(
        "take a softmax",
        PrimitiveDescription("take a softmax") { lockstep_dnnl_log_softmax($0, $1, &layout.raw) }, arguments)
      exponentialPrimitive = try Primitive(
        "take an exponential",
        PrimitiveDescription("take an exponential") {
          lockstep_dnnl_elementwise($0, $1, dnnl_eltwise_exp, &layout.raw)
        }, arguments)
    }

    func logSoftmax(_ rows: MatrixView) throws {
      try tensor.place(at: rows.pointer)
      try logSoftmaxPrimitive.execute()
    }

    func exponential(_ rows: MatrixView) throws {
      try tensor.place(at: rows.pointer)
      try exponentialPrimitive.execute()
    }
  }
}
