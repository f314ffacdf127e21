import COneDNN
import Glibc

/// Softmax and cross-entropy over blocks of rows, in place.
///
/// A block of `rows` x `columns` logits becomes log-probabilities, from which the targets' losses are read off; or, to
/// learn, the gradient of the summed loss by the logits: `p - onehot(target)`.
public final class SoftmaxLoss {
  public let columns: Int
  private var blocks: [Int: Block] = [:]
  /// Logits of a block's targets.
  private var targetLogits: [Float] = []

  /// Less probable targets' losses are not read off the probability: it may be so small that it counts as zero.
  private static let leastProbable: Float = 1e-30

  public init(columns: Int) {
    self.columns = columns
  }

  /// Turns logits into probabilities, in place.
  public func probabilities(_ logits: MatrixView) throws {
    precondition(logits.columns == columns)
    try block(logits.rows).softmax(logits)
  }

  /// Turns logits into log-probabilities and adds `-ln p(target)` of each row, in nats, to `losses[row % losses.count]`:
  /// rows are time-major, so this is the loss of each lane. A target of -1 counts nothing.
  public func evaluate(
    _ logits: MatrixView, firstRow: Int, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>
  ) throws {
    precondition(logits.columns == columns)
    try block(logits.rows).logSoftmax(logits)
    for index in 0..<logits.rows where targets[firstRow + index] >= 0 {
      losses[(firstRow + index) % losses.count] -= Double(logits.row(index)[target(targets[firstRow + index])])
    }
  }

  /// Turns logits into the gradient of the losses, which are added as in `evaluate`; every row has a target.
  /// `logit` computes one again, of a row of the block and a column.
  public func learn(
    _ logits: MatrixView, firstRow: Int, targets: UnsafeBufferPointer<Int32>,
    losses: UnsafeMutableBufferPointer<Double>, logit: (_ row: Int, _ column: Int) -> Float
  ) throws {
    targetLogits.removeAll(keepingCapacity: true)
    for index in 0..<logits.rows { targetLogits.append(logits.row(index)[target(targets[firstRow + index])]) }
    try probabilities(logits)
    for index in 0..<logits.rows {
      let row = logits.row(index)
      let target = Int(targets[firstRow + index])
      var loss = -log(Double(row[target]))
      if row[target] < Self.leastProbable {
        // By the most probable token, whose probability is no small number.
        let values = UnsafeBufferPointer(start: row, count: columns)
        let likeliest = values.indices.max { values[$0] < values[$1] } ?? 0
        loss = Double(logit(index, likeliest)) - log(Double(row[likeliest])) - Double(targetLogits[index])
      }
      losses[(firstRow + index) % losses.count] += loss
      row[target] -= 1
    }
  }

  private func target(_ token: Int32) -> Int {
    precondition(token >= 0 && Int(token) < columns, "token \(token) in a vocabulary of \(columns)")
    return Int(token)
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
    private let softmaxPrimitive: Primitive
    private let logSoftmaxPrimitive: Primitive

    init(rows: Int, columns: Int) throws {
      let layout = try Layout([rows, columns], dnnl_ab)
      tensor = try Tensor(layout)
      let arguments = [DNNL_ARG_SRC: tensor, DNNL_ARG_DST: tensor]
      func primitive(_ logarithm: Bool) throws -> Primitive {
        let description = try PrimitiveDescription("take a softmax") {
          lockstep_dnnl_softmax($0, $1, logarithm ? 1 : 0, &layout.raw)
        }
        return try Primitive("take a softmax", description, arguments)
      }
      softmaxPrimitive = try primitive(false)
      logSoftmaxPrimitive = try primitive(true)
    }

    func logSoftmax(_ rows: MatrixView) throws {
      try tensor.place(at: rows.pointer)
      try logSoftmaxPrimitive.execute()
    }

    func softmax(_ rows: MatrixView) throws {
      try tensor.place(at: rows.pointer)
      try softmaxPrimitive.execute()
    }
  }
}
