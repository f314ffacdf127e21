import Foundation
import Glibc
import Heartbeats
import Hosts
import MPI
import Runs

/// The processors that a rank may run on.
///
/// mpirun binds each rank to a core by default. This is wrong beside another program: the system
/// cannot move a rank away from the core that the program takes, and all ranks wait for that one. So a rank lets go of a
/// default binding, except to its memory node, where its memory is.
enum RankBinding {
  /// Of the calling thread, and of those it starts from now on.
  static func loosen(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
    guard isUnasked(environment), let own = Processors.allowed(to: 0), let allowed = Processors.allowed(to: getppid())
    else { return }
    let wide = loosened(own, allowed: allowed, nodes: memoryNodes())
    if wide != own { Processors.bind(to: wide, home: own) }
  }

  /// Whether mpirun has bound this rank by itself, or as our own launcher has it do.
  static func isUnasked(_ environment: [String: String]) -> Bool {
    let asked = ["OMPI_MCA_hwloc_base_binding_policy", "PRTE_MCA_hwloc_default_binding_policy"]
    let bound = ["OMPI_MCA_orte_bound_at_launch", HubAddress.variable]
    return environment["OMPI_COMM_WORLD_RANK"] != nil && bound.contains { environment[$0] != nil }
      && !asked.contains { environment[$0] != nil }
  }

  /// Of those that mpirun itself may use, which started this rank, the ones of its memory nodes.
  static func loosened(_ own: Set<Int>, allowed: Set<Int>, nodes: [Set<Int>]) -> Set<Int> {
    let near = nodes.filter { !$0.isDisjoint(with: own) }.reduce(into: Set()) { $0.formUnion($1) }
    return own.union(near.isEmpty ? allowed : allowed.intersection(near))
  }

  private static func memoryNodes() -> [Set<Int>] {
    let folder = "/sys/devices/system/node"
    func list(_ path: String) -> [Int] {
      let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
      return MachineCores.expand(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    return list("\(folder)/online").map { Set(list("\(folder)/node\($0)/cpulist")) }
  }
}
