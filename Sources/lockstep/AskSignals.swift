import Foundation
import Glibc
import Synchronization

/// Signals that end what goes on and on: a stream of text, a screen that is watched.
enum AskSignals {
  static let ending = [SIGINT, SIGTERM, SIGHUP]
  /// What a shell says of a program ended by Ctrl-C.
  static let interrupted: Int32 = 128 + SIGINT

  /// From here on these only call `handler`, on a thread that does nothing else. Call it before other threads are made:
  /// they begin with what their maker blocks.
  static func handle(_ numbers: [Int32], _ handler: @escaping @Sendable (Int32) -> Void) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in numbers { sigaddset(&signals, number) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    Thread.detachNewThread { [signals] in
      var waited = signals
      var number: Int32 = 0
      while sigwait(&waited, &number) == 0 { handler(number) }
    }
  }
}

/// Cancels the task that this program waits for when a signal says so, and ends the program if one more does.
final class AskEnding: Sendable {
  private let state = Mutex<(task: Task<Void, Never>?, isWanted: Bool)>((nil, false))
  private let atOnce: @Sendable () -> Void

  /// `atOnce` is called before the program is ended by force.
  init(atOnce: @escaping @Sendable () -> Void = {}) { self.atOnce = atOnce }

  func watch(_ task: Task<Void, Never>) {
    state.withLock { state in
      state.task = task
      if state.isWanted { task.cancel() }
    }
  }

  func end() {
    let isRepeated = state.withLock { state in
      state.task?.cancel()
      defer { state.isWanted = true }
      return state.isWanted
    }
    guard isRepeated else { return }
    atOnce()
    _exit(AskSignals.interrupted)
  }
}
