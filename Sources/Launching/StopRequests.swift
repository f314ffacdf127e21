import Glibc
import Synchronization

/// Signals that ask the ranks to stop, or again: to be ended at once.
public final class StopRequests: Sendable {
  private let counts = Mutex<(asked: Int, insisted: Int, signal: Int32)>((0, 0, SIGUSR1))

  public init() {}

  public static let signals = [SIGINT, SIGTERM, SIGHUP, SIGUSR1]

  /// Called for each of `signals` that comes.
  public func note(_ signal: Int32) {
    counts.withLock { counts in
      if signal == SIGUSR1 || counts.insisted == 0 { counts.asked += 1 }
      if signal != SIGUSR1 { counts.insisted += 1 }
      counts.signal = signal
    }
  }

  /// How often the ranks are to be asked to save and stop.
  public var asked: Int { counts.withLock { $0.asked } }

  /// The last that came.
  public var signal: Int32 { counts.withLock { $0.signal } }

  /// Whether they are not to be waited for any more.
  public var isUrgent: Bool { counts.withLock { $0.insisted > 1 } }
}
