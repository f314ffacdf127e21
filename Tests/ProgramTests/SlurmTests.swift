import TestSupport
import Testing

/// The batch script of launch/examples under a real Slurm, of two simulated hosts: see slurm.sh, which needs root and
/// Debian's packages of Slurm, and takes three minutes.
@Suite(.enabled(if: SimulatedCluster.isPermitted, SimulatedCluster.isForbidden))
struct SlurmTests {
  @Test func jobsFinishAreQueuedAgainAndCancelled() throws {
    let outcome = try Programs.run(
      "\(Programs.repository)/Tests/ProgramTests/slurm.sh", [Programs.folder], in: "/", seconds: 3000)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.error)")
    #expect(
      outcome.lines.map { $0.prefix { $0 != ":" } } == ["finished", "preempted", "out of time", "cancelled", "array"])
  }
}
