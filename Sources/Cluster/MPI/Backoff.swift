import Glibc

/// How a rank waits between two polls of a request that only its own MPI calls advance.
///
/// It looks without a pause for a moment, then lets others go first each time, and at last sleeps between its looks: for a
/// sixteenth of the time that it has waited, up to a millisecond, and after a quarter of a second for a 256th, up to 20
/// milliseconds. So what comes soon is seen at once, and whoever waits long leaves its core to those that it waits for, and to
/// other programs.
struct Backoff {
  private let begun = ContinuousClock.now
  private let asleepAfter: Duration

  private static let spin = Duration.microseconds(50)

  /// `bytes`: of a message, which takes its time although its sender is there. The transfer makes no progress while no rank polls.
  init(bytes: Int) { asleepAfter = .microseconds(200) + .nanoseconds(20) * bytes }

  func pause() {
    let waited = ContinuousClock.now - begun
    if waited < Self.spin { return }
    if waited < asleepAfter {
      sched_yield()
    } else {
      let microseconds = waited / .microseconds(1)
      let most = min(max(microseconds / 256, 1000), 20_000)
      usleep(UInt32(min(max(microseconds / 16, 20), most)))
    }
  }
}
