import Hosts
import Runs

@testable import Launching

/// Hosts and what they say, of a cluster that is in order.
enum Sample {
  static let openMPI4 = MPILauncher(kind: .mpirun, path: "/usr/bin/mpirun", version: "4.1.4")
  static let openMPI5 = MPILauncher(kind: .mpirun, path: "/opt/ompi/bin/mpirun", version: "5.0.11")
  static let srun = MPILauncher(kind: .srun, path: "/usr/bin/srun", version: "")

  static func report(_ name: String, cores: Int = 4, launcher: MPILauncher = openMPI4) -> HostReport {
    HostReport(
      name: name, machine: "boot of \(name)", network: MachineNetwork(id: name, addresses: []),
      program: programVersion, digest: "0123456789abcdef",
      library: launcher.version, mpirun: launcher.version,
      cores: MachineCores(count: cores, allowed: Array(0..<cores), isWhole: true), memory: 1 << 33,
      sharedMemory: 1 << 30, corpus: .prepared(fingerprint: "feedfacefeedface"), checkpoint: nil)
  }

  static func host(
    _ name: String, slots: Int? = 2, cores: Int = 4, launcher: MPILauncher = openMPI4,
    _ change: (inout HostReport) -> Void = { _ in }
  ) -> CheckedHost {
    var report = report(name, cores: cores, launcher: launcher)
    change(&report)
    return CheckedHost(LaunchHost(name: name, slots: slots, place: "hosts:1"), report)
  }

  static func planner(
    _ launcher: MPILauncher = openMPI4, threads: Int = 1, ranks: Int? = nil, distributesCorpus: Bool = false,
    keepsOrder: Bool = false
  ) -> HostPlanner {
    HostPlanner(
      launcher: launcher, program: "/opt/lockstepd", digest: "0123456789abcdef", threads: threads, ranks: ranks,
      distributesCorpus: distributesCorpus, keepsOrder: keepsOrder)
  }
}
