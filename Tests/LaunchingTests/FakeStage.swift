import Glibc
import Hosts
import Runs

@testable import Launching

/// Hosts, ranks and a clock that do as a test says.
final class FakeStage: LaunchStage {
  /// What one start of the ranks does: after so many seconds it ends so.
  struct Attempt {
    var seconds = 1.0
    var ending: ChildProcess.Ending
    /// The ending after each signal that is obeyed.
    var obeys: [Int32: ChildProcess.Ending] = [:]
    /// Called when it is started, and at so many seconds from then.
    var atStart: () -> Void = {}
    var events: [(seconds: Double, what: () -> Void)] = []
  }

  final class Ranks: StartedRanks {
    private unowned let stage: FakeStage
    private var attempt: Attempt
    private let begin: Double
    private var ending: ChildProcess.Ending?
    private(set) var signals: [String] = []

    init(_ stage: FakeStage, _ attempt: Attempt) {
      (self.stage, self.attempt, begin) = (stage, attempt, stage.now)
    }

    func poll() -> ChildProcess.Ending? {
      while let event = attempt.events.first, stage.now >= begin + event.seconds {
        attempt.events.removeFirst()
        event.what()
      }
      if ending == nil, stage.now >= begin + attempt.seconds { ending = attempt.ending }
      return ending
    }

    func signal(_ number: Int32) {
      signals.append("\(number)")
      ending = ending ?? attempt.obeys[number]
    }

    func signalGroup(_ number: Int32) {
      signals.append("group \(number)")
      ending = ending ?? .signalled(number)
    }

    private(set) var hidesStatuses: Bool?
    func end(hidesStatuses: Bool) { self.hidesStatuses = hidesStatuses }
  }

  var now = 0.0
  var attempts: [Attempt] = []
  /// What hosts say at a time.
  var answer: (_ host: String, _ now: Double) -> Result<HostReport, HostFault> = { name, _ in
    .success(Sample.report(name))
  }
  /// What happens at a time, whatever goes on.
  var atTime: (time: Double, what: () -> Void)?
  private(set) var started: [(time: Double, command: RankCommand, ranks: Ranks)] = []
  private(set) var said: [String] = []

  func sleep(_ seconds: Double) {
    now += seconds
    if let event = atTime, now >= event.time {
      atTime = nil
      event.what()
    }
  }

  func ask(_ hosts: [LaunchHost]) -> [Result<HostReport, HostFault>] { hosts.map { answer($0.name, now) } }

  func start(_ command: RankCommand, environment: [String: String]) throws -> any StartedRanks {
    guard !attempts.isEmpty else { throw LaunchError("started once too often") }
    let attempt = attempts.removeFirst()
    attempt.atStart()
    let ranks = Ranks(self, attempt)
    started.append((now, command, ranks))
    return ranks
  }

  func say(_ text: String) { said.append(text) }
}

/// Ranks of which is known what a test says.
final class FakeWatch: RankWatch {
  let environment = ["WATCH": "here"]
  var diagnosis: String?
  var verdictAtEnd = RankVerdict()
  var isTraining = true
  var savedStep: Int?
  var begun = 0
  var asked: [Int32] = []

  func begin(_ command: RankCommand) {
    begun += 1
    (diagnosis, verdictAtEnd) = (nil, RankVerdict())
  }

  func look() -> String? { diagnosis }
  func notice() -> String? { nil }
  func askToStop(signal: Int32) { asked.append(signal) }
  func verdict(_ ending: ChildProcess.Ending) -> RankVerdict { verdictAtEnd }
}
