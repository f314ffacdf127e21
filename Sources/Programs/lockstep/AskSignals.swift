import Foundation
import Glibc
import Synchronization

/// Signals that end what goes on and on: a stream of text, a screen that is watched.
enum AskSignals {
  static let ending = [SIGINT, SIGTERM, SIGHUP]
  /// What a shell says of a program ended by Ctrl-C.
  static let interrupted: Int32 = 128 + SIGINT
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
