import Glibc
import Heartbeats
import MPI
import Synchronization
import Training

/// What can be told of this rank from outside the thread that trains.
///
/// That thread writes down what it does; the watchdog's makes pulses of it.
final class HeartbeatSource: Sendable {
  private let state: Mutex<State>
  /// Of the thread that trains.
  private let clock: clockid_t

  private struct State {
    var pulse: RankActivity
    /// As it was seen by the last pulse, and when first.
    var call: CallLog.Call?
    var since: ContinuousClock.Instant
  }

  /// Made on the thread that trains. `host` as MPI names it, or as the system does.
  init(rank: Int, ranks: Int, host: String) {
    state = Mutex(State(pulse: RankActivity(rank: rank, ranks: ranks, host: host, process: getpid()), since: .now))
    var clock = clockid_t()
    pthread_getcpuclockid(pthread_self(), &clock)
    self.clock = clock
  }

  /// Once MPI has started and it is known better.
  func isRank(_ rank: Int, of ranks: Int, on host: String) {
    state.withLock { state in
      state.pulse.rank = rank
      state.pulse.ranks = ranks
      state.pulse.host = host
    }
  }

  func does(_ activity: String, step: Int, isResting: Bool) {
    state.withLock { state in
      state.pulse.activity = activity
      state.pulse.step = step
      state.pulse.isResting = isResting
    }
  }

  func limits(stalls seconds: Double) { state.withLock { $0.pulse.stallTimeout = seconds } }

  func has(saved step: Int) { state.withLock { $0.pulse.savedStep = step } }

  /// What to tell now; to be made about once a second.
  func pulse() -> RankActivity {
    let (call, counts) = (CallLog.current, CallLog.counts)
    var work = timespec()
    clock_gettime(clock, &work)
    return state.withLock { state in
      if call != state.call { (state.call, state.since) = (call, .now) }
      let host = state.pulse.host
      state.pulse.call = call.map {
        RankActivity.Call(name: $0.name, among: Self.distinct($0.among, on: host), ordinal: $0.ordinal)
      }
      state.pulse.counts = Dictionary(
        uniqueKeysWithValues: counts.map { (Self.distinct($0.key, on: host), $0.value) })
      state.pulse.seconds = (.now - state.since) / .seconds(1)
      state.pulse.work = Double(work.tv_sec) + Double(work.tv_nsec) / 1e9
      return state.pulse
    }
  }

  /// Every machine has ranks of its own, under one name.
  private static func distinct(_ among: String, on host: String) -> String {
    among == "\(Communicator.machineName)" ? "the ranks on \(host)" : among
  }
}
