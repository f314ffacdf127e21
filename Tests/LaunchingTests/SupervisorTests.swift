import Glibc
import Hosts
import Runs
import Testing

@testable import Launching

@Suite struct SupervisorTests {
  private let stage = FakeStage()
  private let requests = StopRequests()
  private let watch = FakeWatch()

  private func supervisor(
    hosts: [String]? = nil, ranks: Int? = nil, minimumRanks: Int? = nil, maximum: Int = 5, isDaemon: Bool = false
  ) -> Supervisor {
    let task = Supervisor.Task(
      hosts: hosts?.map { LaunchHost(name: $0, slots: 2, place: "hosts:1") },
      planner: Sample.planner(ranks: ranks, keepsOrder: isDaemon), place: .here(.none),
      first: ["run", "--resume", "never"],
      later: ["run", "--resume", "auto"], minimumRanks: minimumRanks)
    return Supervisor(
      task, stage: stage, watch: watch, requests: requests, policy: RestartPolicy(maximum: maximum, isDaemon: isDaemon))
  }

  private func run(_ supervisor: Supervisor) throws -> Int32 { try supervisor.run(supervisor.plan()) }

  private func unreachable(_ name: String) -> Result<HostReport, HostFault> {
    .failure(HostFault(name, expected: "an answer", found: "none", remedy: "look at it"))
  }

  // MARK: - The end

  @Test(arguments: [Int32(0), 75, 1, 64]) func statusesArePassedOn(status: Int32) throws {
    stage.attempts = [
      .init(
        ending: .exited(status),
        events: [(0, { [watch] in watch.verdictAtEnd.isError = status != 0 && status != 75 })])
    ]
    #expect(try run(supervisor()) == status)
    #expect(stage.started.count == 1 && stage.said.isEmpty, "nothing to tell: \(stage.said)")
  }

  /// What mpirun says of statuses is news only where a rank could not say its own.
  @Test(arguments: [true, false]) func statusesThatRanksToldAreNotToldAgain(isWhole: Bool) throws {
    stage.attempts = [
      .init(ending: .exited(75), events: [(0, { [watch] in watch.verdictAtEnd.isWhole = isWhole })])
    ]
    #expect(try run(supervisor()) == 75)
    #expect(stage.started.map(\.ranks.hidesStatuses) == [isWhole])
  }

  @Test func lostRanksAreStartedAgain() throws {
    stage.attempts = [
      .init(
        seconds: 30, ending: .exited(137),
        events: [(30, { [watch] in watch.verdictAtEnd.diagnosis = "rank 1 on b was killed." })]),
      .init(seconds: 30, ending: .signalled(9)), .init(ending: .exited(0)),
    ]
    #expect(try run(supervisor(hosts: ["a", "b"], ranks: 3)) == 0)
    #expect(stage.started.map { Int($0.time.rounded()) } == [0, 31, 63])
    #expect(stage.started.map(\.command.command[3]) == ["never", "auto", "auto"], "resumed")
    #expect(watch.begun == 3)
    #expect(stage.started.allSatisfy { $0.command.hostsOfRanks == ["a", "a", "b"] })
    let story = try #require(stage.said.last)
    #expect(story.hasPrefix("finished, after 2 restarts. "), "\(story)")
    #expect(story.contains("rank 1 on b was killed; training again 1 s later on 3 ranks. "), "\(story)")
    #expect(story.contains("mpirun was killed by signal 9; training again 2 s later on 3 ranks."), "\(story)")
    #expect(!story.contains("\n"))
  }

  @Test func itGivesUp() throws {
    stage.attempts = Array(repeating: .init(ending: .exited(137)), count: 3)
    #expect(try run(supervisor(maximum: 2)) == 137)
    #expect(stage.said.last?.hasPrefix("gave up with status 137, after 2 restarts. ") == true)
  }

  // MARK: - Signals

  @Test func theRanksAreAsked() throws {
    stage.attempts = [
      .init(seconds: 9, ending: .exited(75), events: [(2, { [requests] in requests.note(SIGTERM) })])
    ]
    #expect(try run(supervisor()) == 75)
    #expect(watch.asked == [SIGTERM] && stage.started[0].ranks.signals.isEmpty)
  }

  @Test func askedAgainTheyAreEnded() throws {
    stage.attempts = [
      .init(seconds: 100, ending: .exited(0), events: [(2, { [requests] in for _ in 0..<2 { requests.note(SIGINT) } })])
    ]
    #expect(try run(supervisor()) == 137)
    #expect(stage.started[0].ranks.signals == ["\(SIGTERM)", "group \(SIGKILL)"])
    #expect((12...13).contains(stage.now), "ten seconds to end: \(stage.now)")
    #expect(stage.started.count == 1)
  }

  @Test func aPauseIsCutShort() throws {
    stage.attempts = [.init(ending: .exited(137))]
    stage.atTime = (1.5, { [requests] in requests.note(SIGTERM) })
    #expect(try run(supervisor()) == 75)
    #expect(stage.now < 1.8)
  }

  // MARK: - Hopeless

  @Test func whatWillNotEndIsEnded() throws {
    stage.attempts = [
      .init(
        seconds: 1000, ending: .exited(0), obeys: [SIGTERM: .exited(143)],
        events: [(60, { [watch] in watch.diagnosis = "rank 2 on b stands still." })]),
      .init(ending: .exited(0)),
    ]
    #expect(try run(supervisor(hosts: ["a", "b"])) == 0)
    #expect(stage.started[0].ranks.signals == ["\(SIGTERM)"])
    #expect((66...67).contains(stage.started[1].time), "five seconds to end themselves")
    #expect(stage.said.last?.contains("rank 2 on b stands still; training again") == true)
  }

  // MARK: - Hosts that are gone

  @Test func fewerRanksGoOnWhereThatIsAllowed() throws {
    stage.attempts = [.init(seconds: 5, ending: .exited(137)), .init(ending: .exited(0))]
    stage.answer = { [unreachable] name, now in
      name == "b" && now > 0 ? unreachable(name) : .success(Sample.report(name))
    }
    #expect(try run(supervisor(hosts: ["a", "b", "c"], minimumRanks: 4)) == 0)
    #expect(stage.started.map(\.command.ranks) == [6, 4])
    #expect(stage.started[1].command.hostsOfRanks == ["a", "a", "c", "c"])
    #expect(stage.said.contains("without b: expected an answer, found none; look at it"))
    #expect(stage.said.last?.contains("on 4 ranks") == true)
  }

  @Test func elseItWaits() throws {
    stage.attempts = [.init(seconds: 5, ending: .exited(137)), .init(ending: .exited(0))]
    stage.answer = { [unreachable] name, now in
      name == "b" && now > 0 && now < 100 ? unreachable(name) : .success(Sample.report(name))
    }
    #expect(try run(supervisor(hosts: ["a", "b"])) == 0)
    #expect(stage.started.map(\.command.ranks) == [4, 4])
    #expect((100...160).contains(stage.started[1].time))
    let waits = stage.said.filter { $0.hasPrefix("waiting: ") }
    #expect(
      waits == [
        "waiting: hosts that answer have room for 2 ranks, and 4 are needed\n  b: expected an answer, found none; "
          + "look at it"
      ], "once")
  }

  /// Without the host of rank 0 the run begins anew, unless another one has its checkpoints.
  @Test(arguments: [nil, 10, 30] as [Int?])
  func theNewestCheckpointIsWaitedFor(copy: Int?) throws {
    stage.attempts = [.init(seconds: 5, ending: .exited(137)), .init(ending: .exited(0))]
    stage.answer = { [unreachable] name, now in
      if name == "a", now > 0, now < 100 { return unreachable(name) }
      var report = Sample.report(name)
      report.checkpoint = name == "a" ? 20 : now > 0 ? copy : nil
      return .success(report)
    }
    #expect(try run(supervisor(hosts: ["a", "b"], minimumRanks: 1)) == 0)
    if copy == 30 {
      #expect(stage.started[1].command.hostsOfRanks == ["b", "b"] && stage.started[1].time < 10)
    } else {
      #expect(stage.started[1].command.hostsOfRanks == ["a", "a", "b", "b"] && stage.started[1].time >= 100)
      #expect(stage.said.contains { $0.hasPrefix("waiting: the newest checkpoint is on a, which does not answer") })
    }
  }

  /// A copy as old as the start is no copy of what has been saved since.
  @Test func anOldCopyIsNotGoneOnFrom() throws {
    stage.attempts = [.init(seconds: 5, ending: .exited(137)), .init(ending: .exited(0))]
    watch.savedStep = 90
    stage.answer = { [unreachable] name, now in
      if name == "a", now > 0, now < 100 { return unreachable(name) }
      var report = Sample.report(name)
      report.checkpoint = name == "a" && now > 0 ? 100 : 20
      return .success(report)
    }
    #expect(try run(supervisor(hosts: ["a", "b"], minimumRanks: 1)) == 0)
    #expect(stage.started[1].time >= 100)
    #expect(stage.said.contains { $0.hasPrefix("waiting: the newest checkpoint is on a, which does not answer") })
  }

  @Test func aQueueIsWaitedFor() throws {
    stage.attempts = [.init(seconds: 5, ending: .exited(1)), .init(ending: .exited(0))]
    stage.answer = { [unreachable] name, now in
      name == "a" && now > 0 && now < 100 ? unreachable(name) : .success(Sample.report(name))
    }
    #expect(try run(supervisor(hosts: ["a", "b"], minimumRanks: 1, isDaemon: true)) == 0)
    #expect(stage.started[1].time >= 100)
    #expect(stage.said.contains { $0.hasPrefix("waiting: the queue is on a, which does not answer") })
  }

  // MARK: - Refusals

  @Test func allThatIsWrongIsToldBeforeTheStart() throws {
    stage.answer = { [unreachable] name, _ in
      if name == "a" { return unreachable(name) }
      var report = Sample.report(name)
      if name == "b" { report.program = "0.0.1" }
      return .success(report)
    }
    let refusal = try #require(throws: LaunchRefusal.self) { try supervisor(hosts: ["a", "b", "c"]).plan() }
    #expect(refusal.faults.map(\.host) == ["a", "b"])
    #expect(stage.started.isEmpty)
  }

  @Test func tooManyRanksAreRefused() throws {
    let refusal = try #require(throws: LaunchRefusal.self) { try supervisor(hosts: ["a", "b"], ranks: 5).plan() }
    #expect(
      refusal.description
        == "hosts: expected room for 5 ranks of 1 thread, found room for 4; lower -n, or add hosts or slots")
  }
}
