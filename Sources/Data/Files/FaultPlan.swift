import Glibc
import Synchronization

/// System calls that are to fail, so that tests see what comes of it. Nothing but tests makes one.
///
/// Counted are the calls that change files below `path`: create, write, sync, rename and remove, from 1 on.
struct FaultPlan: Sendable {
  enum Extent: CaseIterable, Sendable {
    /// The call fails, those after it do not.
    case once
    /// So do all calls after it, as on a disk that stays full.
    case lasting
    /// Likewise; but a write that is to fail writes half of its bytes first, and the one after it fails.
    case lastingAfterHalf
  }

  let path: String
  /// The call that fails.
  let call: Int
  /// `errno` of the failure.
  let code: Int32
  let extent: Extent

  private struct State {
    var plan: FaultPlan?
    var calls = 0
    var failed: [String] = []
  }

  private static let isArmed = Atomic(false)
  private static let state = Mutex(State())
  private static let operations = ["create", "write", "sync", "rename", "remove"]

  /// Runs `body` under the plan; returns how many calls were counted and which of them failed. One plan at a time: tests that
  /// run beside each other wait for their turn.
  static func during(_ plan: FaultPlan, _ body: () throws -> Void) rethrows -> (calls: Int, failed: [String]) {
    while !take(plan) { usleep(1_000) }
    isArmed.store(true, ordering: .releasing)
    defer {
      isArmed.store(false, ordering: .releasing)
      state.withLock { $0 = State() }
    }
    try body()
    return state.withLock { ($0.calls, $0.failed) }
  }

  private static func take(_ plan: FaultPlan) -> Bool {
    state.withLock { state in
      guard state.plan == nil else { return false }
      state = State(plan: plan)
      return true
    }
  }

  /// What a call is to fail with, nil if it is to be made.
  static func failure(of operation: String, on path: String) -> Int32? {
    guard isArmed.load(ordering: .acquiring) else { return nil }
    return state.withLock { state in
      guard let plan = state.plan, path.hasPrefix(plan.path), operations.contains(where: operation.hasPrefix) else {
        return nil
      }
      state.calls += 1
      let isHalf = plan.extent == .lastingAfterHalf && operation == "write" && state.calls == plan.call
      let isLater = plan.extent != .once && state.calls > plan.call
      guard isLater || (state.calls == plan.call && !isHalf) else { return nil }
      state.failed.append("\(operation) \(path)")
      return plan.code
    }
  }

  /// How many of a write's bytes are to be written by the call just counted.
  static func allowance(of bytes: Int, on path: String) -> Int {
    guard isArmed.load(ordering: .acquiring) else { return bytes }
    return state.withLock { state in
      guard let plan = state.plan, path.hasPrefix(plan.path) else { return bytes }
      return plan.extent == .lastingAfterHalf && state.calls == plan.call ? bytes / 2 : bytes
    }
  }
}
