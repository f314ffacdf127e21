import Testing

import Heartbeats
@testable import Launching

/// What is made of the last words of ranks, and of none.
@Suite struct RankVerdictTests {
  private let lost = RankVerdict(diagnosis: "rank 1 is lost")
  private let done = ExitReport(status: 0)
  private let stopped = ExitReport(status: 75)
  private let failed = ExitReport(status: 1, message: "MPI_Wait failed")

  @Test func whatEndsWellIsNothing() {
    #expect(HubWatch.verdict([done, done], loss: nil) == RankVerdict())
    #expect(HubWatch.verdict([stopped, stopped], loss: nil) == RankVerdict())
    #expect(HubWatch.verdict([], loss: nil) == RankVerdict())
  }

  @Test func aLossIsToldWhoeverMetWithItAfterwards() {
    for farewells in [[], [done], [stopped], [failed]] {
      #expect(HubWatch.verdict(farewells, loss: "rank 1 is lost") == lost)
    }
  }

  @Test func anErrorIsAnError() {
    #expect(HubWatch.verdict([done, failed], loss: nil) == RankVerdict(isError: true))
  }

  @Test func whoeverSawAStallTellsIt() {
    let stalled = ExitReport(status: ExitReport.stalledStatus, message: "rank 2 stands still.")
    #expect(
      HubWatch.verdict([failed, stalled], loss: "rank 1 is lost") == RankVerdict(diagnosis: "rank 2 stands still."))
  }
}
