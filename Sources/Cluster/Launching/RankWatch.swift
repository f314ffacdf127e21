import Glibc
import Heartbeats
import NIOPosix
import Runs

/// What is known of the ranks beside the status of what started them.
public protocol RankWatch: AnyObject {
  /// By which ranks find it, once it has begun.
  var environment: [String: String] { get }
  /// Forgets what was: these ranks are about to be started. Throws where they cannot be heard.
  func begin(_ command: RankCommand) throws
  /// The stalled ranks and the evidence; nil if none is stalled.
  func look() -> String?
  /// What people should know of, told once; nil if there is nothing.
  func notice() -> String?
  /// The newest checkpoint that more hosts than rank 0's should have; nil before there is one.
  var savedStep: Int? { get }
  /// Whether they have come so far as to train.
  var isTraining: Bool { get }
  /// Asks all ranks to save and stop, as that signal would.
  func askToStop(signal: Int32)
  /// What is known once what started them has ended so.
  func verdict(_ ending: ChildProcess.Ending) -> RankVerdict
}

/// How the ranks ended, as they said or as was seen.
public struct RankVerdict: Equatable, Sendable {
  /// Text on the ranks that were lost or stalled.
  public var diagnosis: String?
  /// Whether a rank told an error of its own, which would come again.
  public var isError: Bool
  /// Whether every rank said how it would end.
  public var isWhole: Bool

  public init(diagnosis: String? = nil, isError: Bool = false, isWhole: Bool = false) {
    self.diagnosis = diagnosis
    self.isError = isError
    self.isWhole = isWhole
  }
}

/// Hears the ranks' pulses over TCP.
public final class HubWatch: RankWatch {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let hub: HeartbeatHub
  private var begun = ContinuousClock.now
  private var hasHeard = false
  private var hasNoticed = false

  /// So long, at least, ranks have to start before something is wrong.
  private static let startTime = Duration.seconds(120)

  /// `timeout` in seconds, as `training.stallTimeout`.
  public init(timeout: Double) { hub = HeartbeatHub(on: group.next(), timeout: .seconds(timeout)) }

  deinit {
    hub.close()
    try? group.syncShutdownGracefully()
  }

  public var environment: [String: String] { hub.address.map { [HubAddress.variable: "\($0)"] } ?? [:] }

  public func begin(_ command: RankCommand) throws {
    do {
      try hub.begin(ranks: command.ranks, at: command.launcherAddresses())
    } catch {
      throw LaunchError("cannot listen for what ranks tell of themselves: \(error)")
    }
    begun = .now
  }

  public func look() -> String? {
    if let diagnosis = hub.look() { return diagnosis.text }
    // Ranks that were never heard may train well where they cannot reach this host: they have longer.
    let patience = hasHeard ? limit : limit * FailureDetector.patience
    guard hub.timeout > .zero, hub.records.isEmpty, .now - begun >= patience else {
      hasHeard = hasHeard || !hub.records.isEmpty
      return nil
    }
    return "no rank has been heard from in the first \(Int(patience / .seconds(1))) s: \(Self.unheard)"
  }

  private var limit: Duration { max(Self.startTime, hub.timeout * 2) }
  private static let unheard =
    "they cannot be started, or their hosts cannot open connections to this one (let them, have srun pass on "
    + "\(HubAddress.variable), or set training.stallTimeout to 0)."

  public func notice() -> String? {
    guard !hasNoticed, !hasHeard, hub.timeout > .zero, hub.records.isEmpty, .now - begun >= limit else { return nil }
    hasNoticed = true
    return "no rank has reported yet, so a stalled rank would not be noticed: \(Self.unheard)"
  }

  public var savedStep: Int? { hub.records.first { $0.pulse.rank == 0 }?.pulse.savedStep }

  public var isTraining: Bool {
    // It may have come further than to train by the time it is looked at.
    let before = [RankActivity.starting, RunActivity.preparing.rawValue]
    return hub.records.contains { !before.contains($0.pulse.activity) }
  }

  public func askToStop(signal: Int32) { hub.askToStop(signal: signal) }

  public func verdict(_ ending: ChildProcess.Ending) -> RankVerdict {
    // Last words may still be on their way, unless they were kept from being said.
    if case .exited = ending {
      for _ in 0..<100 where hub.records.contains(where: { $0.closed == nil }) { usleep(10_000) }
    }
    let records = hub.records
    let farewells = records.compactMap(\.exitReport)
    var verdict = Self.verdict(farewells, loss: hub.loss?.text)
    verdict.isWhole = !records.isEmpty && farewells.count == records.map(\.pulse.ranks).max()
    return verdict
  }

  /// `loss` is the rank that was lost before any rank reported an error, because peers of a lost rank get errors too.
  static func verdict(_ farewells: [ExitReport], loss: String?) -> RankVerdict {
    if let message = farewells.first(where: { $0.status == ExitReport.stalledStatus })?.message {
      return RankVerdict(diagnosis: message)
    }
    if let loss { return RankVerdict(diagnosis: loss) }
    return RankVerdict(
      isError: farewells.contains { ![0, Interruption.exitStatus].contains($0.status) && !$0.mayPass })
  }
}
