import Glibc

/// A file of a size known beforehand, of which parts are written where they belong; what is not written are holes, which
/// read as zeros and take no space where the file system knows them.
public final class SparseFile {
  public let path: String
  private let descriptor: Int32

  /// Opens a file for writing, made with these permissions (less the umask) if need be, and gives it its size. What is within
  /// it stays.
  public init(_ path: String, size: Int, permissions: mode_t = 0o666) throws {
    self.path = path
    descriptor = try checked("create", path) {
      open(FileName.bytes(of: path), O_WRONLY | O_CREAT | O_CLOEXEC, permissions)
    }
    // If this fails, `deinit` closes: all properties are set.
    try checked("write", path) { ftruncate(descriptor, size) }
  }

  deinit { close(descriptor) }

  /// Writes bytes at an offset.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < bytes.count {
      done += try checked("write", path) {
        pwrite(
          descriptor, bytes.baseAddress.map { $0 + done }, FaultPlan.allowance(of: bytes.count - done, on: path),
          offset + done)
      }
    }
  }

  /// Makes what was written survive a power cut: `fsync(2)`.
  public func synchronize() throws { try checked("sync", path) { fsync(descriptor) } }
}
