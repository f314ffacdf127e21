import Foundation
import Glibc
import Hosts
import Synchronization
import Terminal
import Training

/// Requests to stop that come from outside: signals, and a limit of time.
///
/// A signal only sets a flag; the run looks at it after each step, saves a checkpoint and ends, to be resumed. Whatever
/// else may take long looks at it too (`CancellationToken`). A person's second signal ends the process at once.
public final class Interruption: Sendable {
  /// Exit status of a run that was stopped and can be gone on with: EX_TEMPFAIL of sysexits.h. A batch script can tell
  /// it from failure (1) and from the end of the run (0).
  public static let exitStatus: Int32 = 75

  private static let signalled = Atomic<Int32>(0)
  private static let first = Mutex<ContinuousClock.Instant?>(nil)
  /// Within this time of the first, more signals are the same request: terminals, shells and mpirun pass it on side by
  /// side.
  private static let sameRequest = Duration.milliseconds(500)
  private let deadline: ContinuousClock.Instant?

  /// From here on the signals of `StopSignals` only ask to stop; a later one that insists ends the process, with status
  /// 128 and its number. `name` is the program's. Call it before other threads are made.
  public static func catchSignals(_ name: String) {
    StopSignals.handle(StopSignals.all) { number in
      let now = ContinuousClock.now
      let isFirst = first.withLock { first in
        defer { first = first ?? now }
        return first.map { now - $0 < sameRequest } ?? true
      }
      if !isFirst, StopSignals.insists(number) {
        Console.error("\(name): \(StopSignals.name(number)), after another one: ended at once, nothing is saved\n")
        _exit(128 + number)
      }
      request(number)
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

  /// As if that signal had come, however often.
  public static func request(_ signal: Int32) { signalled.store(signal, ordering: .relaxed) }

  /// The signal that has come; 0 if none has.
  public static var signal: Int32 { signalled.load(ordering: .relaxed) }

  /// The same for people; nil if none has.
  public static var requested: String? { signal == 0 ? nil : StopSignals.name(signal) }

  /// Why some ranks were asked to stop, from their number and the sum of the signals they got: one signal is told even where it
  /// has not come to this rank yet.
  static func reason(ofRanks ranks: Double, signals: Double) -> String {
    let signal = StopSignals.all.first { Double($0) == signals / ranks }
    return signal.map(StopSignals.name) ?? StopRequest.elsewhere.reason
  }

  /// Why the run should stop now; nil while it should not.
  public var reason: String? {
    if let signal = Self.requested { return signal }
    return deadline.map { ContinuousClock.now >= $0 } == true ? "time limit" : nil
  }

  /// Seconds before a Slurm job's end by which it is asked to stop: for a step and a checkpoint. A tenth of a short one.
  private static let margin = 120.0
}
