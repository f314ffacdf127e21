import Foundation
import Glibc
import Heartbeats
import Hosts
import MPI
import NIOCore
import NIOPosix
import Runs
import Synchronization
import Terminal

/// Ends this process, and so the job, when a rank stalls. MPI itself would wait for ever.
///
/// The first rank listens, all ranks tell it about themselves every second; so it finds who is missing, and each of the
/// others finds whether the first is. A launcher, if there is one, is told the same. All of this is on a thread of its
/// own and goes over connections of its own, so that it works where MPI hangs.
final class Watchdog: Sendable {
  let vitals: HeartbeatSource
  private let group: MultiThreadedEventLoopGroup
  private let launcher: Heartbeat?
  private let state = Mutex(State())

  private struct State {
    var hub: HeartbeatHub?
    var heartbeat: Heartbeat?
    var firstHost = ""
    var timeout = Duration.seconds(60)
    var isOver = false
  }

  /// Before MPI starts, which may hang itself: only a launcher can know.
  init() {
    vitals = HeartbeatSource(rank: Self.expectedRank, ranks: 0, host: ProcessInfo.processInfo.hostName)
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let address = ProcessInfo.processInfo.environment[HubAddress.variable].flatMap(HubAddress.init)
    launcher = address.map { [group, vitals] in
      Heartbeat(to: $0, on: group.next(), pulse: vitals.pulse, onStop: Interruption.request)
    }
  }

  /// As Open MPI and Slurm tell it before MPI does.
  private static var expectedRank: Int {
    let environment = ProcessInfo.processInfo.environment
    let names = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"]
    return names.lazy.compactMap { environment[$0].flatMap(Int.init) }.first ?? 0
  }

  /// Begins to watch over all ranks, which take part.
  func watch(_ ranks: MPIRankGroup) throws {
    vitals.isRank(ranks.rank, of: ranks.count, on: ranks.host)
    defer {
      group.next().scheduleRepeatedTask(initialDelay: .seconds(1), delay: .milliseconds(500)) { [weak self] task in
        if self?.look() != true { task.cancel() }
      }
    }
    guard ranks.count > 1 else { return }
    let timeout = state.withLock { $0.timeout }
    let networks = try ranks.allGather(Array(JSONEncoder().encode(MachineNetwork.current)))
    let hub = try ranks.together { ranks.isFirst ? try listen(networks, timeout) : nil }
    let said = try ranks.broadcast(Array("\(ranks.host)\n\(hub?.address.map { "\($0)" } ?? "")".utf8))
    let parts = String(decoding: said, as: UTF8.self).split(separator: "\n").map(String.init)
    let address = parts.count == 2 ? HubAddress(parts[1]) : nil
    let heartbeat =
      hub == nil
      ? address.map {
        Heartbeat(to: $0, on: group.next(), pulse: vitals.pulse, onStop: Interruption.request)
      } : nil
    state.withLock { state in
      state.hub = hub
      state.heartbeat = heartbeat
      state.firstHost = parts[0]
    }
  }

  /// On the first rank: hears all ranks of these networks.
  private func listen(_ networks: [[UInt8]], _ timeout: Duration) throws -> HeartbeatHub {
    let networks = try networks.map { try JSONDecoder().decode(MachineNetwork.self, from: Data($0)) }
    let hub = HeartbeatHub(on: group.next(), timeout: timeout)
    try hub.begin(ranks: networks.count, at: MachineNetwork.current.addresses(facing: networks))
    return hub
  }

  /// For how long a rank may stand still, in seconds; 0: for ever.
  func limit(to seconds: Double) {
    vitals.limits(stalls: seconds)
    state.withLock { state in
      state.timeout = .seconds(seconds)
      state.hub?.timeout = .seconds(seconds)
    }
  }

  /// Sends the rank's exit report before MPI ends, and stops the checks. If MPI does not end, the process does.
  func end(_ exitReport: ExitReport) {
    let (hub, heartbeat, timeout) = state.withLock { state in
      defer { (state.hub, state.heartbeat, state.isOver) = (nil, nil, true) }
      return (state.hub, state.heartbeat, state.timeout)
    }
    // Long after: ranks wait there for others that still copy a checkpoint.
    if timeout > .zero {
      group.next().scheduleTask(in: TimeAmount(timeout * FailureDetector.patience * 2)) { _exit(exitReport.status) }
    }
    heartbeat?.end(exitReport)
    launcher?.end(exitReport)
    hub?.close()
  }

  // MARK: - On its own thread

  /// False once there is nothing to look after.
  private func look() -> Bool {
    let (hub, heartbeat, first, timeout, isOver) = state.withLock {
      ($0.hub, $0.heartbeat, $0.firstHost, $0.timeout, $0.isOver)
    }
    if isOver { return false }
    let pulse = vitals.pulse()
    // Without its launcher a run would train unwatched, and be in the way of the one that the launcher starts next.
    if timeout > .zero, let launcher, launcher.hasBeenAnswered, launcher.silence >= timeout * FailureDetector.patience {
      giveUp(
        "the launcher has not been heard from for \(Int(launcher.silence / .seconds(1))) s by rank \(pulse.rank) on "
          + "\(pulse.host): it was ended, or its host is down or cut off.", pulse)
      return false
    }
    if let hub {
      hub.hear(pulse)
      guard let diagnosis = hub.look() else { return true }
      giveUp(diagnosis.text, pulse)
      return false
    }
    guard let heartbeat else { return launcher != nil }
    // The first rank can say more than the others: it is given a moment, and those after this one still more.
    let grace = Duration.seconds(2) + .milliseconds(100) * min(pulse.rank, 30)
    guard timeout > .zero, heartbeat.silence >= timeout + grace else { return true }
    let seconds = Int(heartbeat.silence / .seconds(1))
    if heartbeat.hasBeenAnswered {
      giveUp(
        "rank 0 on \(first) has not been heard from for \(seconds) s by rank \(pulse.rank) on \(pulse.host): frozen, or its host is "
          + "down, or the link between them is cut.", pulse)
    } else {
      Console.error(
        "lockstepd: warning: rank \(pulse.rank) on \(pulse.host) cannot reach rank 0 on \(first) over TCP, which MPI does "
          + "without: a stalled rank will not be noticed. Let hosts open connections to each other.\n")
    }
    state.withLock { $0.heartbeat = nil }
    return launcher != nil
  }

  /// Ends this process; whoever started the ranks then ends the others.
  private func giveUp(_ text: String, _ pulse: RankActivity) {
    let message =
      "\(text) The run ends, as training.stallTimeout says. Start it again to resume from its newest checkpoint."
    Console.error("lockstepd: error: \(message)\n")
    launcher?.end(ExitReport(status: ExitReport.stalledStatus, message: message))
    // What is sent leaves by this very thread.
    group.next().scheduleTask(in: .milliseconds(300)) { _exit(ExitReport.stalledStatus) }
  }
}
