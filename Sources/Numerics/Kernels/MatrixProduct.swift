import CKernels
import COneDNN

/// A matrix as a factor of a product: as it stands, or `transposed`.
public protocol MatrixFactor {
  var stored: MatrixView { get }
  /// Floats from one stored row to the next.
  var stride: Int { get }
  var isTransposed: Bool { get }
}

extension MatrixView: MatrixFactor {
  public var stored: MatrixView { self }
  public var stride: Int { columns }
  public var isTransposed: Bool { false }

  /// The transpose, as a factor; nothing is copied.
  public var transposed: some MatrixFactor { Transposed(stored: self, stride: columns) }
}

private struct Transposed: MatrixFactor {
  let stored: MatrixView
  let stride: Int
  var isTransposed: Bool { true }
}

/// A matrix with space between its rows.
public struct StridedMatrix: MatrixFactor {
  public let stored: MatrixView
  public let stride: Int
  public var isTransposed: Bool { false }

  public init(pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int) {
    stored = MatrixView(pointer: pointer, rows: rows, columns: columns)
    self.stride = stride
  }

  /// Some of its rows.
  public func rows(_ range: Range<Int>) -> StridedMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= stored.rows)
    return StridedMatrix(
      pointer: stored.pointer + range.lowerBound * stride, rows: range.count, columns: stored.columns, stride: stride)
  }

  /// Writes its transpose.
  public func transpose(into to: MatrixView) {
    precondition(to.rows == stored.columns && to.columns == stored.rows, "\(shape) into \(to.shape)")
    lockstep_transpose(
      Instructions.best, stored.rows, stored.columns, stored.pointer, stride, to.pointer, to.columns)
  }

  /// The space as columns.
  public var withSpace: MatrixView { MatrixView(pointer: stored.pointer, rows: stored.rows, columns: stride) }

  /// The transpose, as a factor; nothing is copied.
  public var transposed: some MatrixFactor { Transposed(stored: stored, stride: stride) }
}

extension MatrixFactor {
  var shape: (rows: Int, columns: Int) {
    isTransposed ? (stored.columns, stored.rows) : (stored.rows, stored.columns)
  }

  /// Floats from one row of the factor to the next, and from one column to the next.
  var rowStride: Int { isTransposed ? 1 : stride }
  var columnStride: Int { isTransposed ? stride : 1 }

  fileprivate var flag: CChar { CChar(bitPattern: UInt8(ascii: isTransposed ? "T" : "N")) }
}

/// `c = a b`, or `c += a b` with `adding`. oneDNN's `dnnl_sgemm`.
///
/// With `a` of shape [m, k] and `b` of shape [k, n], `c` has shape [m, n].
public func multiply(
  _ a: some MatrixFactor, _ b: some MatrixFactor, into c: some MatrixFactor, adding: Bool = false
) throws {
  let (m, k) = a.shape
  let n = b.shape.columns
  precondition(b.shape.rows == k && c.shape == (m, n) && !c.isTransposed, "\(a.shape) x \(b.shape) into \(c.shape)")
  ProductCount.add(m, k, n)
  try OneDNN.check(
    "multiply [\(m), \(k)] by [\(k), \(n)]",
    dnnl_sgemm(
      a.flag, b.flag, Int64(m), Int64(n), Int64(k), 1,
      a.stored.pointer, Int64(max(a.stride, 1)),
      b.stored.pointer, Int64(max(b.stride, 1)),
      adding ? 1 : 0, c.stored.pointer, Int64(max(c.stride, 1))))
}
