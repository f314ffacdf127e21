import Glibc

/// A lock on a file, held by this process until it ends, however it ends: `flock(2)`.
public final class FileLock: Sendable {
  private let descriptor: Int32

  /// Makes the file if need be and takes the lock; throws `FileError` with `EWOULDBLOCK` if another holds it.
  public init(_ path: String) throws {
    let descriptor = try checked("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666) }
    do {
      try checked("lock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}
