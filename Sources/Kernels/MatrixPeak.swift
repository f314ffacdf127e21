import Dispatch

/// How fast this core multiplies matrices that are well shaped: what all else is measured by.
public final class MatrixPeak {
  /// Rows, columns and depth of the products tried.
  public static let shapes = [
    (480, 480, 480), (768, 768, 768), (1024, 1024, 1024), (1024, 512, 128), (2000, 2000, 2000),
  ]

  private let factors: [FloatBuffer]
  private let product: FloatBuffer

  /// Throws `KernelError`.
  public init() throws {
    let most = Self.shapes.map { max($0 * $2, $2 * $1, $0 * $1) }.max() ?? 0
    factors = [
      try FloatBuffer(Array(repeating: 0.5, count: most)), try FloatBuffer(Array(repeating: 0.25, count: most)),
    ]
    product = try FloatBuffer(most)
  }

  /// Operations a second of products of a shape, in the fastest of several, for at least `seconds`.
  public func rate(_ shape: (rows: Int, columns: Int, depth: Int), seconds: Double) throws -> Double {
    let a = factors[0].matrix(rows: shape.rows, columns: shape.depth)
    let b = factors[1].matrix(rows: shape.depth, columns: shape.columns)
    let c = product.matrix(rows: shape.rows, columns: shape.columns)
    var (fastest, total, count) = (Double.infinity, 0.0, 0)
    while total < seconds || count < 3 {
      let begin = DispatchTime.now().uptimeNanoseconds
      try multiply(a, b, into: c)
      let taken = Double(DispatchTime.now().uptimeNanoseconds - begin) * 1e-9
      fastest = min(fastest, taken)
      total += taken
      count += 1
    }
    return 2 * Double(shape.rows * shape.columns * shape.depth) / fastest
  }
}
