import Dispatch

/// How fast this core multiplies matrices that are well shaped: what all else is measured by.
public final class MatrixPeak {
  /// Rows, columns and depth of the products tried.
  public static let shapes = [
    (480, 480, 480), (768, 768, 768), (1024, 1024, 1024), (1024, 512, 128), (2000, 2000, 2000),
  ]

  private let factors: [FloatBuffer]
  private let product: FloatBuffer
  /// Seconds of each product made, by shape.
  private var times: [[Double]] = Array(repeating: [], count: shapes.count)

  /// Throws `KernelError`.
  public init() throws {
    let most = Self.shapes.map { max($0 * $2, $2 * $1, $0 * $1) }.max() ?? 0
    factors = [
      try FloatBuffer(Array(repeating: 0.5, count: most)), try FloatBuffer(Array(repeating: 0.25, count: most)),
    ]
    product = try FloatBuffer(most)
  }

  /// Makes products of a shape for at least `seconds`.
  public func measure(shape index: Int, seconds: Double) throws {
    let (rows, columns, depth) = Self.shapes[index]
    let a = factors[0].matrix(rows: rows, columns: depth)
    let b = factors[1].matrix(rows: depth, columns: columns)
    let c = product.matrix(rows: rows, columns: columns)
    var total = 0.0
    while total < seconds {
      let begin = DispatchTime.now().uptimeNanoseconds
      try multiply(a, b, into: c)
      let taken = Double(DispatchTime.now().uptimeNanoseconds - begin) * 1e-9
      times[index].append(taken)
      total += taken
    }
  }

  /// Operations a second that a shape's products have sustained: their median. Single ones may be faster, where a
  /// processor's clock rises for some milliseconds; a step of training takes longer.
  public func rate(shape index: Int) -> Double {
    let (rows, columns, depth) = Self.shapes[index]
    let sorted = times[index].sorted()
    return 2 * Double(rows * columns * depth) / sorted[sorted.count / 2]
  }
}
