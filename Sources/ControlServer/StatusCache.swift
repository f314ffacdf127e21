import NIOCore
import Synchronization

/// The status as JSON, encoded once for all who ask within a tenth of a second: encoding it is a good part of what a
/// request costs, and whatever the server's thread takes is taken from training.
final class StatusCache: Sendable {
  private struct Entry {
    let text: ByteBuffer
    let made: ContinuousClock.Instant
  }

  private let backend: any ControlBackend
  private let entry = Mutex<Entry?>(nil)
  private let clock = ContinuousClock()
  private static let age = Duration.milliseconds(100)

  init(_ backend: any ControlBackend) { self.backend = backend }

  /// Throws `EncodingError` for a number that is not finite.
  func text() throws -> ByteBuffer {
    let now = clock.now
    if let entry = entry.withLock({ $0 }), now - entry.made < Self.age { return entry.text }
    let made = Entry(text: try .json(backend.status()), made: now)
    entry.withLock { $0 = made }
    return made.text
  }

  /// After something was asked for that may have changed it: whoever asked sees what came of it.
  func clear() { entry.withLock { $0 = nil } }
}
