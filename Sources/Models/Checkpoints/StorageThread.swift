import Foundation

/// A thread that saves, so that the caller does not wait for disks: one job at a time.
///
/// It yields to threads that compute (nice 10): a save takes longer, and training hardly feels it. Call `end` before
/// the process, or MPI, comes to its end.
public final class StorageThread: @unchecked Sendable {
  private let condition = NSCondition()
  // Guarded by the condition.
  private var job: (@Sendable () -> Void)?
  private var isEnding = false
  private var hasEnded = false

  public init() {
    let thread = Thread { [self] in work() }
    thread.name = "storage"
    thread.start()
  }

  /// Whether a job is under way.
  public var isBusy: Bool { condition.withLock { job != nil } }

  /// Hands over a job; traps if one is under way.
  public func start(_ job: @escaping @Sendable () -> Void) {
    condition.withLock {
      precondition(self.job == nil && !isEnding, "one job at a time")
      self.job = job
      condition.broadcast()
    }
  }

  /// Waits until no job is under way.
  public func finish() {
    condition.withLock {
      while job != nil { condition.wait() }
    }
  }

  /// Lets the job under way finish, and ends the thread.
  public func end() {
    condition.withLock {
      isEnding = true
      condition.broadcast()
      while !hasEnded { condition.wait() }
    }
  }

  private func work() {
    setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)  // on Linux this is the thread's own
    condition.lock()
    while true {
      while job == nil && !isEnding { condition.wait() }
      guard let job else { break }
      condition.unlock()
      job()
      condition.lock()
      self.job = nil
      condition.broadcast()
    }
    hasEnded = true
    condition.broadcast()
    condition.unlock()
  }
}
