import NIOCore
import Synchronization

/// The status as JSON, encoded once for all who ask within a tenth of a second: encoding it is a good part of what a
/// request costs, and whatever the server's thread takes is taken from training.
final class StatusCache: Sendable {
  private struct Entry {
    let text: ByteBuffer
    let made: ContinuousClock.Instant
  }

  private struct State {
    var entry: Entry?
    /// Counts what may have changed the status.
    var changes = 0
  }

  private let backend: any ControlBackend
  private let state = Mutex(State())
  private let clock = ContinuousClock()
  private static let age = Duration.milliseconds(100)

  init(_ backend: any ControlBackend) { self.backend = backend }

  /// Throws `EncodingError` for a number that is not finite.
  func text() throws -> ByteBuffer {
    let now = clock.now
    let before = state.withLock { $0 }
    if let entry = before.entry, now - entry.made < Self.age { return entry.text }
    let made = Entry(text: try .json(backend.status()), made: now)
    state.withLock { if $0.changes == before.changes { $0.entry = made } }
    return made.text
  }

  /// Call this after a request that may change the status, so that its client sees the effect.
  func clear() {
    state.withLock {
      $0.entry = nil
      $0.changes += 1
    }
  }
}
