import COneDNN

/// A product with a matrix that is used many times: laid out once in the order that is best for it.
final class PackedProduct {
  private let a: Tensor
  private let c: Tensor
  private let bias: Tensor?
  private let from: Tensor
  private let memory: FloatBuffer
  private let reorder: Primitive
  private let product: Primitive

  /// For `c = a b + bias`, or `c += a b + bias` with `adding`: `a` [rows, depth], `b` [depth, columns], rows of `c` every
  /// `stride` floats, those of `a` every `aStride`. `b` is given to `pack` as it is, or `transposed`. Throws `KernelError`.
  init(
    rows: Int, depth: Int, columns: Int, stride: Int, aStride: Int? = nil, transposed: Bool = false,
    adding: Bool = false, bias: Bool = false
  ) throws {
    let name = "multiply [\(rows), \(depth)] by [\(depth), \(columns)]"
    let left = try Layout(rows: rows, columns: depth, stride: aStride ?? depth)
    let result = try Layout(rows: rows, columns: columns, stride: stride)
    // Where rows have space between them oneDNN 2.6 packs nothing and takes `b` by its rows: they get space too.
    let isSpaced = stride != columns || aStride ?? depth != depth
    let right =
      try isSpaced
      ? Layout(rows: depth, columns: columns, stride: columns + 16) : Layout([depth, columns], dnnl_format_tag_any)
    let biasLayout = bias ? try Layout([1, columns], dnnl_ab) : nil
    let description = try PrimitiveDescription(name) { description, engine in
      if let biasLayout {
        lockstep_dnnl_product(
          description, engine, &left.raw, &right.raw, &biasLayout.raw, &result.raw, adding ? 1 : 0)
      } else {
        lockstep_dnnl_product(description, engine, &left.raw, &right.raw, nil, &result.raw, adding ? 1 : 0)
      }
    }
    a = try Tensor(left)
    c = try Tensor(result)
    self.bias = try biasLayout.map { try Tensor($0) }
    from = try Tensor(Layout([depth, columns], transposed ? dnnl_ba : dnnl_ab))
    let packed = try Tensor(Layout(of: description, dnnl_query_weights_md, 0))
    memory = try FloatBuffer((packed.layout.bytes + 3) / 4)
    try packed.place(at: memory.pointer)
    reorder = try Primitive.reorder("pack weights", from: from, to: packed)
    var arguments = [DNNL_ARG_SRC: a, DNNL_ARG_WEIGHTS: packed, DNNL_ARG_DST: c]
    arguments[DNNL_ARG_BIAS] = self.bias
    product = try Primitive(name, description, arguments)
  }

  /// Takes over `b`.
  func pack(_ b: MatrixView) throws {
    try from.place(at: b.pointer)
    try reorder.execute()
  }

  func multiply(
    _ a: UnsafeMutablePointer<Float>, into c: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>? = nil
  ) throws {
    try self.a.place(at: a)
    try self.c.place(at: c)
    if let bias { try self.bias?.place(at: bias) }
    try product.execute()
  }
}

/// A function of each of some numbers, in place or not.
final class Elementwise {
  private let from: Tensor
  private let to: Tensor
  private let primitive: Primitive

  /// Throws `KernelError`.
  init(_ function: dnnl_alg_kind_t, count: Int) throws {
    let layout = try Layout([count], dnnl_a)
    from = try Tensor(layout)
    to = try Tensor(layout)
    let description = try PrimitiveDescription("apply a function") {
      lockstep_dnnl_elementwise($0, $1, function, &layout.raw)
    }
    primitive = try Primitive("apply a function", description, [DNNL_ARG_SRC: from, DNNL_ARG_DST: to])
  }

  func apply(_ numbers: UnsafeMutablePointer<Float>, into result: UnsafeMutablePointer<Float>) throws {
    try from.place(at: numbers)
    try to.place(at: result)
    try primitive.execute()
  }
}
