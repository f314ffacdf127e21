import Files
import Foundation
import Glibc
import Hosts
import Runs

/// Ranks that were started.
public protocol StartedRanks: AnyObject {
  func poll() -> ChildProcess.Ending?
  func signal(_ number: Int32)
  func signalGroup(_ number: Int32)
  /// Once they have ended: `hidesStatuses` where what mpirun says of their exit statuses is no news.
  func end(hidesStatuses: Bool)
}

/// The world as a supervisor sees it.
public protocol LaunchStage: AnyObject {
  /// Seconds of a clock that never goes back.
  var now: Double { get }
  func sleep(_ seconds: Double)
  /// Asks all hosts what they have.
  func ask(_ hosts: [LaunchHost]) throws -> [Result<HostReport, HostFault>]
  func start(_ command: RankCommand, environment: [String: String]) throws -> any StartedRanks
  /// Tells the user something, a line or more.
  func say(_ text: String)
}

/// Starts ranks, passes on what is asked of them, and starts them again when they are lost.
public final class Supervisor {
  /// What is to be launched.
  public struct Task {
    /// nil: on this machine, or where a job's launcher puts them.
    public var hosts: [LaunchHost]?
    public var planner: HostPlanner
    /// Where there are no hosts.
    public var place: RankCommand.Place
    /// Arguments of lockstepd, of the first start and of later ones.
    public var first: [String]
    public var later: [String]
    /// Fewer ranks than that are not started; nil: none fewer than at first.
    public var minimumRanks: Int?

    public init(
      hosts: [LaunchHost]?, planner: HostPlanner, place: RankCommand.Place, first: [String], later: [String],
      minimumRanks: Int?
    ) {
      self.hosts = hosts
      self.planner = planner
      self.place = place
      self.first = first
      self.later = later
      self.minimumRanks = minimumRanks
    }
  }

  private var task: Task
  private let stage: any LaunchStage
  private let watch: any RankWatch
  private let requests: StopRequests
  private var policy: RestartPolicy
  private var story = LaunchReport()
  /// The name of rank 0's host, and the newest checkpoint any host had, when the run was last started.
  private var firstHost: String?
  private var knownCheckpoint: Int?

  public init(
    _ task: Task, stage: any LaunchStage, watch: any RankWatch, requests: StopRequests, policy: RestartPolicy
  ) {
    self.task = task
    self.stage = stage
    self.watch = watch
    self.requests = requests
    self.policy = policy
  }

  // MARK: - From start to end

  /// Looks at hosts and says what would be started. Throws `LaunchRefusal` with all that is wrong.
  public func plan() throws -> RankCommand {
    guard let hosts = task.hosts else {
      return RankCommand(
        launcher: task.planner.launcher, place: task.place, ranks: task.planner.ranks, threads: task.planner.threads,
        command: [task.planner.program] + task.first)
    }
    let (checked, faults) = try survey(hosts)
    let ordered = task.planner.order(checked)
    var all = faults + task.planner.faults(ordered)
    let (wanted, room) = task.planner.count(ordered)
    if all.isEmpty, wanted > room {
      all.append(
        HostFault(
          "hosts",
          expected: "room for \(counted(wanted, "rank")) of \(counted(task.planner.threads, "thread"))",
          found: "room for \(room)",
          remedy: "lower -n, or add hosts or slots"))
    }
    if !all.isEmpty { throw LaunchRefusal(all) }
    task.planner.ranks = wanted
    return command(on: ordered, ranks: wanted, arguments: task.first)
  }

  /// Starts the ranks, again if need be, and returns the status to end with.
  public func run(_ first: RankCommand) throws -> Int32 {
    var command = first
    while true {
      let ending = try attempt(command)
      switch policy.decide(ending) {
      case .end(let status): return end(status, ending)
      case .giveUp(let status):
        note(ending)
        return tell(status, "gave up with status \(status)")
      case .restart(let delay):
        note(ending)
        stage.say("\(describe(ending)); starting again in \(Int(delay)) s (restart \(policy.restarts))")
        pause(delay)
        guard let next = try commandAgain() else {
          return tell(Interruption.exitStatus, "stopped while it waited to be started again")
        }
        command = next
      }
    }
  }

  private func command(on hosts: [CheckedHost], ranks: Int, arguments: [String]) -> RankCommand {
    let deals = task.planner.deal(ranks, to: hosts)
    firstHost = deals.first?.host.host.name
    knownCheckpoint = hosts.compactMap(\.report.checkpoint).max()
    return RankCommand(
      launcher: task.planner.launcher, place: .hosts(deals), ranks: ranks, threads: task.planner.threads,
      command: [task.planner.program] + arguments)
  }

  private func survey(_ hosts: [LaunchHost]) throws -> ([CheckedHost], [HostFault]) {
    var (checked, faults): ([CheckedHost], [HostFault]) = ([], [])
    for (host, answer) in zip(hosts, try stage.ask(hosts)) {
      switch answer {
      case .success(let report): checked.append(CheckedHost(host, report))
      case .failure(let fault): faults.append(fault)
      }
    }
    return (checked, faults)
  }

  // MARK: - One attempt

  private static let pollSeconds = 0.05
  /// Seconds that an mpirun gets to end its ranks and itself, when it is told to.
  private static let patience = 10.0
  /// Seconds that ranks get to end themselves, once one of them is known to stand still.
  private static let grace = 5.0

  private func attempt(_ command: RankCommand) throws -> AttemptEnding {
    try watch.begin(command)
    let ranks = try stage.start(command, environment: watch.environment)
    var (asked, trains, killsAt): (Int, Double?, Double?) = (0, nil, nil)
    var found: (text: String, time: Double)?
    while true {
      if trains == nil, watch.isTraining {
        trains = stage.now
        story.recovered(at: stage.now, ranks: command.ranks)
      }
      if let notice = watch.notice() { stage.say(notice) }
      // Asked while it can be: the first rank may be gone a moment later.
      knownCheckpoint = [knownCheckpoint, watch.savedStep].compactMap { $0 }.max()
      if let ending = ranks.poll() {
        var verdict = watch.verdict(ending)
        ranks.end(hidesStatuses: verdict.isWhole)
        if let found { verdict = RankVerdict(diagnosis: found.text) }
        // What was ended on purpose has not met with an accident of its own.
        return AttemptEnding(
          killsAt == nil ? ending : .exited(ending.status), verdict: verdict, wasAsked: requests.asked > 0,
          trainedSeconds: stage.now - (trains ?? stage.now), foundAt: found?.time)
      }
      if requests.asked > asked {
        if asked == 0 { stage.say("asking the ranks to save and stop; again to end them at once") }
        asked = requests.asked
        watch.askToStop(signal: requests.signal)
      }
      if found == nil, let text = watch.look() {
        found = (text, stage.now)
        stage.say(text)
      }
      if killsAt == nil, requests.isUrgent || found.map({ stage.now >= $0.time + Self.grace }) == true {
        ranks.signal(SIGTERM)
        killsAt = stage.now + Self.patience
      }
      if let time = killsAt, stage.now >= time {
        ranks.signalGroup(SIGKILL)
        killsAt = stage.now + Self.patience
      }
      stage.sleep(Self.pollSeconds)
    }
  }

  // MARK: - Starting again

  /// Waits so long, or until asked to stop.
  private func pause(_ seconds: Double) {
    let end = stage.now + seconds
    while stage.now < end, requests.asked == 0 { stage.sleep(min(0.1, end - stage.now)) }
  }

  /// What to start now, on the hosts that answer; waits for those it cannot do without. nil when asked to stop.
  private func commandAgain() throws -> RankCommand? {
    var (delay, said) = (1.0, "")
    while requests.asked == 0 {
      guard let hosts = task.hosts else {
        var command = try plan()
        command.command = [task.planner.program] + task.later
        return command
      }
      let (answered, faults) = try survey(hosts)
      let ordered = task.planner.order(answered)
      let wrong = task.planner.faults(ordered)
      let sound = ordered.filter { host in !wrong.contains { $0.host == host.host.name } }
      let lacking = lack(of: sound)
      if lacking == nil {
        let (wanted, room) = task.planner.count(sound)
        for fault in faults + wrong { stage.say("without \(fault)") }
        return command(on: sound, ranks: min(wanted, room), arguments: task.later)
      }
      let text = ([lacking].compactMap { $0 } + (faults + wrong).map(\.description)).joined(separator: "\n  ")
      if text != said { stage.say("waiting: \(text)") }
      said = text
      pause(delay)
      delay = min(2 * delay, 60)
    }
    return nil
  }

  /// Why these hosts are not enough; nil where they are.
  private func lack(of hosts: [CheckedHost]) -> String? {
    let (wanted, room) = task.planner.count(hosts)
    let least = min(wanted, task.minimumRanks ?? wanted)
    guard room >= least else {
      return "hosts that answer have room for \(counted(room, "rank")), and \(least) are needed"
    }
    let names = hosts.map(\.host.name)
    guard let firstHost, !names.contains(firstHost) else { return nil }
    if task.planner.keepsOrder { return "the queue is on \(firstHost), which does not answer" }
    let checkpoint = hosts.compactMap(\.report.checkpoint).max()
    guard let checkpoint, checkpoint >= knownCheckpoint ?? 0 else {
      return "the newest checkpoint is on \(firstHost), which does not answer, and no other host has a copy of it"
    }
    return nil
  }

  // MARK: - Telling

  private func describe(_ ending: AttemptEnding) -> String {
    let name = task.planner.launcher.kind.rawValue
    switch (ending.ending, ending.verdict.diagnosis) {
    case (.exited, let diagnosis?): return Self.sentence(diagnosis)
    case (.signalled(let number), nil): return "\(name) was killed by signal \(number)"
    case (.signalled(let number), let diagnosis?):
      return "\(name) was killed by signal \(number); \(Self.sentence(diagnosis))"
    case (.exited(let status), nil): return "\(name) ended with status \(status)"
    }
  }

  /// Without a full stop, which others add.
  private static func sentence(_ text: String) -> String { text.hasSuffix(".") ? String(text.dropLast()) : text }

  private func note(_ ending: AttemptEnding) {
    story.add(describe(ending), at: ending.foundAt ?? stage.now, now: stage.now)
  }

  private func end(_ status: Int32, _ ending: AttemptEnding) -> Int32 {
    switch status {
    case 0: return tell(status, "finished")
    case Interruption.exitStatus: return tell(status, "stopped, and can be resumed")
    default:
      if ending.wasAsked { return tell(status, "ended with status \(status), as it was asked to") }
      if ending.verdict.diagnosis != nil { note(ending) }
      return tell(status, "ended with status \(status)")
    }
  }

  /// One paragraph of what happened, if anything did.
  private func tell(_ status: Int32, _ end: String) -> Int32 {
    guard !story.isEmpty else { return status }
    let restarts = policy.restarts == 0 ? "" : ", after \(counted(policy.restarts, "restart"))"
    stage.say(story.paragraph(end: end + restarts))
    return status
  }
}
