import Testing

@testable import MPIRanks

@Suite struct RankBindingTests {
  /// Two memory nodes of four processors each.
  private let nodes: [Set<Int>] = [[0, 1, 2, 3], [4, 5, 6, 7]]

  @Test func aRankMayMoveWithinItsMemoryNodes() {
    let all = Set(0..<8)
    #expect(RankBinding.loosened([1], allowed: all, nodes: nodes) == [0, 1, 2, 3])
    #expect(RankBinding.loosened([6, 7], allowed: all, nodes: nodes) == [4, 5, 6, 7])
    #expect(RankBinding.loosened([3, 4], allowed: all, nodes: nodes) == all, "threads on both nodes")
    #expect(RankBinding.loosened(all, allowed: all, nodes: nodes) == all, "bound to nothing")
  }

  @Test func aRankStaysWhereItsLauncherMayRun() {
    #expect(RankBinding.loosened([1], allowed: [1, 2, 5], nodes: nodes) == [1, 2])
    #expect(RankBinding.loosened([1], allowed: [1, 2, 5], nodes: []) == [1, 2, 5], "a system without memory nodes")
    #expect(RankBinding.loosened([1], allowed: [5], nodes: nodes) == [1], "what it has it keeps")
  }

  @Test func whatSomebodyAskedForStays() {
    let rank = ["OMPI_COMM_WORLD_RANK": "0"]
    func isUnasked(_ more: [String: String]) -> Bool { RankBinding.isUnasked(rank.merging(more) { $1 }) }
    #expect(!isUnasked([:]), "not bound")
    #expect(isUnasked(["OMPI_MCA_orte_bound_at_launch": "1"]), "mpirun's own way")
    #expect(isUnasked(["LOCKSTEP_LAUNCHER": "127.0.0.1:1"]), "our launcher's way")
    #expect(!isUnasked(["OMPI_MCA_orte_bound_at_launch": "1", "OMPI_MCA_hwloc_base_binding_policy": "core"]))
    #expect(!isUnasked(["LOCKSTEP_LAUNCHER": "", "PRTE_MCA_hwloc_default_binding_policy": "core"]))
    #expect(!RankBinding.isUnasked(["LOCKSTEP_LAUNCHER": "127.0.0.1:1"]), "of srun: Slurm binds as it was asked")
  }
}
