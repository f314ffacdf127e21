import Glibc

/// Memory for 32-bit floats that never moves, so that views of it stay valid as long as the buffer lives.
public final class FloatBuffer: @unchecked Sendable {
  public let count: Int
  public let pointer: UnsafeMutablePointer<Float>
  /// Whose memory it is, if not its own.
  private let owner: AnyObject?

  private static let largePage = 1 << 21

  /// Zeroed and 64-byte aligned. Throws `KernelError.outOfMemory` when the system has no more.
  public init(_ count: Int) throws {
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    var raw: UnsafeMutableRawPointer?
    // Large ones on large pages, where the system has them: walks through them miss the TLB less often.
    let isLarge = bytes >= Self.largePage
    guard posix_memalign(&raw, isLarge ? Self.largePage : 64, bytes) == 0, let raw else {
      throw KernelError.outOfMemory(bytes: bytes)
    }
    if isLarge { madvise(raw, bytes, MADV_HUGEPAGE) }
    memset(raw, 0, bytes)
    pointer = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    owner = nil
  }

  /// Memory of another's, which is kept alive.
  public init(_ pointer: UnsafeMutablePointer<Float>, count: Int, of owner: AnyObject) {
    self.pointer = pointer
    self.count = count
    self.owner = owner
  }

  public convenience init(_ values: [Float]) throws {
    try self.init(values.count)
    for (index, value) in values.enumerated() { pointer[index] = value }
  }

  deinit { if owner == nil { free(pointer) } }

  public var values: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  public subscript(index: Int) -> Float {
    get {
      precondition(index >= 0 && index < count)
      return pointer[index]
    }
    set {
      precondition(index >= 0 && index < count)
      pointer[index] = newValue
    }
  }

  public func clear() { memset(pointer, 0, count * MemoryLayout<Float>.stride) }

  public func copy(from other: FloatBuffer) {
    precondition(other.count == count, "buffers of \(other.count) and \(count) floats")
    memcpy(pointer, other.pointer, count * MemoryLayout<Float>.stride)
  }

  /// The whole buffer, or `rows` x `columns` of it from `offset` on, as a row-major matrix.
  public func matrix(rows: Int, columns: Int, at offset: Int = 0) -> MatrixView {
    precondition(offset >= 0 && rows >= 0 && columns >= 0 && offset + rows * columns <= count)
    return MatrixView(pointer: pointer + offset, rows: rows, columns: columns)
  }
}

/// A row-major matrix inside a `FloatBuffer`, valid as long as that buffer lives.
public struct MatrixView {
  public let pointer: UnsafeMutablePointer<Float>
  public let rows: Int
  public let columns: Int

  public init(pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
  }

  public var count: Int { rows * columns }

  public var values: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// Some of its rows.
  public func rows(_ range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return MatrixView(pointer: pointer + range.lowerBound * columns, rows: range.count, columns: columns)
  }

  public func row(_ index: Int) -> UnsafeMutablePointer<Float> {
    precondition(index >= 0 && index < rows)
    return pointer + index * columns
  }

  public func clear() { memset(pointer, 0, count * MemoryLayout<Float>.stride) }

  public func copy(from other: MatrixView) {
    precondition(other.rows == rows && other.columns == columns)
    memcpy(pointer, other.pointer, count * MemoryLayout<Float>.stride)
  }
}
