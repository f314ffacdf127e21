import Foundation
import Glibc
import Synchronization

/// Requests to stop that come from outside: signals, and a limit of time.
///
/// A signal only sets a flag; the run looks at it after each step, saves a checkpoint and ends, to be gone on with.
public final class Interruption: Sendable {
  /// Exit status of a run that was stopped and can be gone on with: EX_TEMPFAIL of sysexits.h. A batch script can tell
  /// it from failure (1) and from the end of the run (0).
  public static let exitStatus: Int32 = 75

  private static let signalled = Atomic<Int32>(0)
  private let deadline: ContinuousClock.Instant?

  /// From here on TERM, INT and USR1 only ask to stop. Call it before other threads are made.
  ///
  /// The signals are blocked everywhere and waited for by a thread of their own, since no handler may run on a thread
  /// that computes: its frame is pushed where the stack pointer points, and oneDNN's generated code has the pointer
  /// elsewhere at times (seen: a damaged heap at the next free).
  public static func catchSignals() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGTERM, SIGINT, SIGUSR1] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    Thread.detachNewThread { [signals] in
      var waited = signals
      var number: Int32 = 0
      while sigwait(&waited, &number) == 0 { signalled.store(number, ordering: .relaxed) }
    }
  }

  /// `timeLimit` in seconds from now; 0: none, but what Slurm says of the job, less some seconds for a step and a
  /// checkpoint, and `earlier` ones. One rank that watches the clock is enough.
  public init(timeLimit: Double, earlier: Double = 0, watchesClock: Bool = true) {
    guard watchesClock else {
      deadline = nil
      return
    }
    let limit =
      timeLimit > 0 ? timeLimit : SlurmJob.secondsLeft().map { max(1, $0 - min(Self.margin, $0 / 10) - earlier) }
    deadline = limit.map { ContinuousClock.now + .seconds($0) }
  }

  /// As if that signal had come.
  public static func request(_ signal: Int32) { signalled.store(signal, ordering: .relaxed) }

  /// The signal that has come; nil if none has.
  public static var requested: String? {
    switch signalled.load(ordering: .relaxed) {
    case 0: nil
    case SIGTERM: "signal TERM"
    case SIGINT: "signal INT"
    case SIGUSR1: "signal USR1"
    case SIGHUP: "signal HUP"
    case let number: "signal \(number)"
    }
  }

  /// Why the run should stop now; nil while it should not.
  public var reason: String? {
    if let signal = Self.requested { return signal }
    return deadline.map { ContinuousClock.now >= $0 } == true ? "time limit" : nil
  }

  /// Seconds before a Slurm job's end by which it is asked to stop: for a step and a checkpoint. A tenth of a short one.
  private static let margin = 120.0
}
