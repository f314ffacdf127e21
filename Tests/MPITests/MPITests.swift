import Foundation
import TestSupport
import Testing

/// The communicator under a real mpirun (Tests/MPIFixture makes the checks).
@Suite struct MPITests {
  private func fixture(ranks: Int, _ arguments: String...) throws -> Outcome {
    try Programs.mpirun(
      ["-n", "\(ranks)", "\(Programs.folder)/mpi-fixture"] + arguments, in: "/tmp", seconds: 180)
  }

  @Test(arguments: [1, 2, 3, 4])
  func collectivesAreRight(ranks: Int) throws {
    let outcome = try fixture(ranks: ranks)
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
    #expect(outcome.output.contains("all is well on \(ranks) ranks"))
  }

  @Test(arguments: [2, 3, 4])
  func theWayOfTheExchangeChangesNothing(ranks: Int) throws {
    let outcome = try fixture(ranks: ranks, "learn")
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
  }

  @Test func whatIsNoNumberOnOneRankIsSkippedOnAll() throws {
    let outcome = try fixture(ranks: 2, "not-a-number")
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
  }

  @Test(arguments: [2, 3, 4])
  func replicasThatDifferAreNamed(ranks: Int) throws {
    let outcome = try fixture(ranks: ranks, "replicas-differ")
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
  }

  @Test func anErrorOfAllIsSaidOnce() throws {
    let outcome = try fixture(ranks: 3, "fail-alike")
    #expect(outcome.status == 1)
    #expect(outcome.error.components(separatedBy: "fixture: error: milk").count == 2, "\(outcome.error)")
  }

  @Test func anErrorOfOneEndsAll() throws {
    let outcome = try fixture(ranks: 3, "fail-alone")
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("fixture: error on rank 2 ("), "\(outcome.error)")
  }

  /// In a process of its own, which counts the products of its tests alone.
  @Test func rowsThatHaveEndedAreNotComputed() throws {
    let outcome = try fixture(ranks: 1, "packed")
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
  }

  @Test func aRankThatWaitsLeavesItsCore() throws {
    let outcome = try fixture(ranks: 3, "sleep")
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
  }

  @Test func aRankBeginsAtHomeAfterAMeeting() throws {
    let outcome = try fixture(ranks: 2, "home")
    #expect(outcome.status == 0, "\(outcome.output) \(outcome.error)")
  }

  /// All wait for ever, but in calls that do not belong together.
  @Test(arguments: ["deadlock", "mismatch"])
  func aDeadlockIsFoundNamedAndEnded(kind: String) throws {
    let outcome = try fixture(ranks: 3, kind)
    #expect(outcome.status == 76, "\(outcome.status) \(outcome.error)")
    #expect(outcome.error.contains("rank 2 on "), "\(outcome.error)")
    #expect(outcome.error.contains("(call "), "\(outcome.error)")
    #expect(outcome.error.contains("a deadlock"), "\(outcome.error)")
  }

  @Test(arguments: ["first": 0, "last": 2])
  func aFrozenRankIsNamedAndEndsTheOthers(which: String, rank: Int) throws {
    let outcome = try fixture(ranks: 3, "freeze-\(which)")
    #expect(outcome.status == 76, "\(outcome.status) \(outcome.error)")
    #expect(outcome.error.contains("error: rank \(rank) on "), "\(outcome.error)")
    #expect(outcome.error.contains("has not been heard from for"), "\(outcome.error)")
  }
}
