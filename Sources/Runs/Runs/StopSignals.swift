import Foundation
import Glibc

/// Signals that ask a run to save and stop: people, terminals, batch systems and limits send them.
public enum StopSignals {
  private static let names: KeyValuePairs = [
    SIGTERM: "TERM", SIGINT: "INT", SIGHUP: "HUP", SIGUSR1: "USR1", SIGUSR2: "USR2", SIGXCPU: "XCPU", SIGPWR: "PWR",
  ]

  /// Those that are listened to. HUP is not where whoever started this process had it ignored, as nohup(1) does: the
  /// process is to outlive its terminal.
  public static var all: [Int32] { names.map { $0.key }.filter { $0 != SIGHUP || !isIgnored($0) } }

  /// Whether a second signal of this kind ends the process at once: people send these. The kernel sends XCPU each second beyond the
  /// limit, and parts of a batch system may each send a USR1.
  public static func insists(_ signal: Int32) -> Bool { [SIGINT, SIGTERM, SIGHUP].contains(signal) }

  /// For people: "signal TERM".
  public static func name(_ signal: Int32) -> String {
    "signal \(names.first { $0.key == signal }?.value ?? "\(signal)")"
  }

  /// Blocks them on every thread that is made from now on, and has a thread of its own wait for them and call `handler`.
  /// Call it before other threads are made.
  ///
  /// No handler may run on a thread that computes: its frame is pushed where the stack pointer points, and oneDNN's
  /// generated code has the pointer elsewhere at times (seen: a damaged heap at the next free).
  public static func handle(_ signals: [Int32], _ handler: @escaping @Sendable (Int32) -> Void) {
    var set = sigset_t()
    sigemptyset(&set)
    for number in signals { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    Thread.detachNewThread { [set] in
      var waited = set
      var number: Int32 = 0
      while sigwait(&waited, &number) == 0 { handler(number) }
    }
  }

  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
