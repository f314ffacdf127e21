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

  /// Operations a second that products of a shape make for at least `seconds`. Single ones may be faster, where a processor's
  /// clock rises for some milliseconds, or whoever shares it rests; a step of training takes longer.
  public func rate(shape index: Int, seconds: Double) throws -> Double {
    let (rows, columns, depth) = Self.shapes[index]
    let a = factors[0].matrix(rows: rows, columns: depth)
    let b = factors[1].matrix(rows: depth, columns: columns)
    let c = product.matrix(rows: rows, columns: columns)
    let begin = DispatchTime.now().uptimeNanoseconds
    var made = 0
    var taken = 0.0
    while taken < seconds {
      try multiply(a, b, into: c)
      made += 1
      taken = Double(DispatchTime.now().uptimeNanoseconds - begin) * 1e-9
    }
    return 2 * Double(made * rows * columns * depth) / taken
  }
}
