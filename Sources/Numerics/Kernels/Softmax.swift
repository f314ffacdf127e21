import COneDNN

/// Probabilities of one row of logits. oneDNN's softmax.
public final class Softmax {
  private let columns: Int
  private let tensor: Tensor
  private let primitive: Primitive

  /// Throws `KernelError`.
  public init(columns: Int) throws {
    self.columns = columns
    let layout = try Layout([1, columns], dnnl_ab)
    tensor = try Tensor(layout)
    let description = try PrimitiveDescription("take a softmax") { lockstep_dnnl_softmax($0, $1, &layout.raw) }
    primitive = try Primitive("take a softmax", description, [DNNL_ARG_SRC: tensor, DNNL_ARG_DST: tensor])
  }

  /// Turns logits into probabilities, in place.
  public func probabilities(_ logits: MatrixView) throws {
    precondition(logits.rows == 1 && logits.columns == columns, "\(logits) for a softmax of \(columns)")
    try tensor.place(at: logits.pointer)
    try primitive.execute()
  }
}
