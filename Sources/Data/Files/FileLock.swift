import Glibc

/// A lock on a file, held by this process until it ends, however it ends: `flock(2)`.
public final class FileLock: Sendable {
  private let descriptor: Int32

  /// Makes the file if need be and takes the lock; throws `FileError` with `EWOULDBLOCK` if another still holds it after
  /// `patience` seconds: ranks outlive a killed mpirun by one or two.
  public init(_ path: String, patience: Double = 5) throws {
    let descriptor = try checked("open", path) { open(FileName.bytes(of: path), O_RDWR | O_CREAT | O_CLOEXEC, 0o666) }
    let deadline = ContinuousClock.now + .seconds(patience)
    while true {
      do {
        try checked("lock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
        break
      } catch let error as FileError where error.code == EWOULDBLOCK && .now < deadline {
        usleep(50_000)
      } catch {
        close(descriptor)
        throw error
      }
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}
