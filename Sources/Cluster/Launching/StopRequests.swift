import Glibc
import Runs
import Synchronization

/// Signals that ask the ranks to stop, or again: to be ended at once.
public final class StopRequests: Sendable {
  private let counts = Mutex<(asked: Int, insisted: Int, signal: Int32)>((0, 0, SIGUSR1))

  public init() {}

  /// Called for each of `StopSignals.all` that comes.
  public func note(_ signal: Int32) {
    counts.withLock { counts in
      let insists = StopSignals.insists(signal)
      if !insists || counts.insisted == 0 { counts.asked += 1 }
      if insists { counts.insisted += 1 }
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
