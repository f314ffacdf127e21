import Testing

@testable import Heartbeats

/// Three hosts of two ranks each, at step 12, and what is made of what they say.
@Suite struct FailureDetectorTests {
  private let timeout = Duration.seconds(60)
  private let begin = ContinuousClock.now

  private func pulse(_ rank: Int, _ change: (inout RankActivity) -> Void = { _ in }) -> RankActivity {
    var pulse = RankActivity(rank: rank, ranks: 6, host: "node\(rank / 2 + 1)", process: Int32(100 + rank))
    pulse.step = 12
    pulse.activity = "training"
    pulse.work = 1
    change(&pulse)
    return pulse
  }

  private func waits(
    _ pulse: inout RankActivity, _ name: String = "MPI_Allreduce", _ ordinal: Int = 40, seconds: Double
  ) {
    pulse.call = RankActivity.Call(name: name, among: "all ranks", ordinal: ordinal)
    pulse.seconds = seconds
  }

  /// After `seconds` in which every rank said the same each second, those of `silent` only at first.
  private func diagnosis(
    after seconds: Int, silent: Set<Int> = [], _ change: (inout RankActivity, _ second: Int) -> Void
  ) -> Diagnosis? {
    var records = (0..<6).map { rank in
      RankRecord(pulse(rank) { change(&$0, 0) }, at: begin)
    }
    for second in 1...seconds {
      for rank in 0..<6 where !silent.contains(rank) {
        records[rank].hear(pulse(rank) { change(&$0, second) }, at: begin + .seconds(second))
      }
    }
    return FailureDetector(records, at: begin + .seconds(seconds), timeout: timeout).diagnosis
  }

  @Test func ranksThatWorkAreLeftAlone() {
    #expect(
      diagnosis(after: 10_000) { pulse, second in
        pulse.work = Double(second)
        pulse.step = second / 100
      } == nil)
  }

  @Test func oneThatIsSilentIsNamedAndWhatTheOthersWaitFor() throws {
    let change = { (pulse: inout RankActivity, second: Int) in
      if pulse.rank != 3 { waits(&pulse, seconds: Double(second)) }
    }
    #expect(diagnosis(after: 59, silent: [3], change) == nil)
    let found = try #require(diagnosis(after: 60, silent: [3], change))
    #expect(found.kind == .silent && found.ranks == [3] && found.hosts == ["node2"])
    #expect(found.text.hasPrefix("rank 3 on node2 has not been heard from for 60 s"), "\(found.text)")
    #expect(found.text.contains("rank 3 was at step 12, training."), "\(found.text)")
    #expect(
      found.text.contains("The others wait: rank 0 on node1 in MPI_Allreduce (call 40 among all ranks) at step 12"),
      "\(found.text)")
  }

  @Test func ranksOfOneHostAreNamedTogether() throws {
    let found = try #require(diagnosis(after: 61, silent: [2, 3]) { $0.work = Double($1) })
    #expect(found.ranks == [2, 3] && found.hosts == ["node2"])
    #expect(found.text.hasPrefix("ranks 2 and 3 on node2 have not been heard from for 61 s"), "\(found.text)")
  }

  @Test func aRankInAnotherCallOfTheSameNumberIsADeadlock() throws {
    let found = try #require(
      diagnosis(after: 61) { waits(&$0, $0.rank == 4 ? "MPI_Bcast" : "MPI_Allreduce", seconds: Double($1)) })
    #expect(found.kind == .deadlock && found.ranks == [4] && found.hosts == ["node3"])
    #expect(found.text.contains("rank 4 on node3 waits in MPI_Bcast"), "\(found.text)")
  }

  /// One is a call ahead in one group of ranks and behind in another: each waits for the other.
  @Test func ranksThatWaitInACircleAreADeadlock() throws {
    let found = try #require(
      diagnosis(after: 61) { pulse, second in
        if pulse.rank == 4 {
          pulse.call = RankActivity.Call(name: "MPI_Barrier", among: "the ranks on node3", ordinal: 8)
          pulse.counts = ["all ranks": 39, "the ranks on node3": 8]
          pulse.seconds = Double(second)
        } else {
          waits(&pulse, seconds: Double(second))
          pulse.counts = ["all ranks": 40, "the ranks on node\(pulse.rank / 2 + 1)": 7]
        }
      })
    #expect(found.kind == .deadlock && found.ranks == [4], "\(found.text)")
    #expect(found.text.contains("MPI_Barrier (call 8 among the ranks on node3)"), "\(found.text)")
  }

  /// Others of its machine wait for a leader, which waits for those of other machines: all of them have begun.
  @Test func aSlowSumBetweenMachinesIsNoDeadlock() {
    #expect(
      diagnosis(after: 300) { pulse, second in
        let machine = "the ranks on node\(pulse.rank / 2 + 1)"
        pulse.counts = [machine: 8]
        if pulse.rank % 2 == 0 {
          pulse.call = RankActivity.Call(name: "MPI_Iallreduce", among: "one rank of each machine", ordinal: 3)
          pulse.counts = [machine: 7, "one rank of each machine": 3]
        } else {
          pulse.call = RankActivity.Call(name: "MPI_Barrier", among: machine, ordinal: 8)
        }
        pulse.seconds = Double(second)
      } == nil)
  }

  /// Whoever has finished a broadcast early is in the next call; that may be a slow link.
  @Test func aRankInALaterCallMayWaitLonger() throws {
    let change = { (pulse: inout RankActivity, second: Int) in
      waits(&pulse, pulse.rank == 0 ? "MPI_Allreduce" : "MPI_Bcast", pulse.rank == 0 ? 41 : 40, seconds: Double(second))
    }
    #expect(diagnosis(after: 599, change) == nil)
    #expect(try #require(diagnosis(after: 600, change)).kind == .standstill)
  }

  @Test func callsBetweenTwoRanksHaveNoCommonNumber() {
    #expect(diagnosis(after: 300) { waits(&$0, $0.rank < 3 ? "MPI_Send" : "MPI_Recv", -1, seconds: Double($1)) } == nil)
  }

  @Test func aRankThatDoesNothingIsBlockedUnlessAnotherWorks() throws {
    let change = { (pulse: inout RankActivity, second: Int) in
      if pulse.rank != 0 { waits(&pulse, seconds: Double(second)) }
    }
    #expect(diagnosis(after: 599, change) == nil)
    let found = try #require(diagnosis(after: 600, change))
    #expect(found.kind == .blocked && found.ranks == [0] && found.hosts == ["node1"])
    #expect(
      diagnosis(after: 700) {
        change(&$0, $1)
        if $0.rank == 5 { ($0.call, $0.work, $0.activity) = (nil, Double($1), "evaluating") }
      } == nil)
  }

  @Test func aStartThatHangsIsFoundSooner() throws {
    let change = { (pulse: inout RankActivity, second: Int) in
      pulse.activity = RankActivity.starting
      waits(&pulse, "MPI_Init_thread", 1, seconds: Double(second))
    }
    #expect(diagnosis(after: 119, change) == nil)
    #expect(try #require(diagnosis(after: 120, change)).kind == .standstill)
  }

  @Test func aStepThatNeverEndsIsFound() throws {
    let found = try #require(
      diagnosis(after: 600) { pulse, second in
        if pulse.rank == 2 { pulse.work = Double(second) } else { waits(&pulse, seconds: Double(second)) }
      })
    #expect(found.kind == .standstill && found.ranks == [2])
    #expect(found.text.contains("without finishing step 13"), "\(found.text)")
  }

  @Test func aPauseMayLastForEver() {
    #expect(
      diagnosis(after: 10_000) { pulse, second in
        if pulse.rank == 0 { pulse.isResting = true } else { waits(&pulse, seconds: Double(second)) }
      } == nil)
  }

  @Test func theFirstToEndWithoutAWordIsTheOneLost() throws {
    var records = (0..<6).map { RankRecord(pulse($0), at: begin) }
    for rank in 0..<6 { records[rank].closed = begin + .milliseconds(rank == 4 ? 100 : 300 + rank) }
    let one = try #require(FailureDetector(records, at: begin + .seconds(1), timeout: timeout).loss)
    #expect(one.ranks == [4] && one.hosts == ["node3"] && one.kind == .lost)
    #expect(one.text.contains("crashed"))

    records[5].closed = begin + .milliseconds(101)
    let host = try #require(FailureDetector(records, at: begin + .seconds(1), timeout: timeout).loss)
    #expect(host.ranks == [4, 5])
    #expect(host.text.contains("the host went down"), "\(host.text)")

    // Others may fail because of it; but those that end after one has failed were ended.
    records[0].part(ExitReport(status: 1, message: "connection reset"), at: begin + .milliseconds(200))
    #expect(FailureDetector(records, at: begin + .seconds(1), timeout: timeout).loss?.ranks == [4, 5])
    records[0].part(ExitReport(status: 1, message: "no such file"), at: begin + .milliseconds(50))
    #expect(FailureDetector(records, at: begin + .seconds(1), timeout: timeout).loss == nil)
  }
}
