import Files
import Foundation
import TestSupport
import Testing

@testable import Hosts
@testable import Runs

@Suite struct MachineCoresTests {
  /// A machine of four cores of two hyperthreads each, as the kernel describes it.
  private func machine(allowed: String, _ files: [String: String] = [:]) throws -> MachineCores {
    let folder = try TemporaryFolder()
    try folder.write("sys/devices/system/cpu/online", "0-7\n")
    for cpu in 0..<8 {
      try folder.write("sys/devices/system/cpu/cpu\(cpu)/topology/thread_siblings_list", "\(cpu % 4),\(cpu % 4 + 4)\n")
    }
    try folder.write("proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t\(allowed)\n")
    for (name, text) in files { try folder.write(name, text) }
    return MachineCores(root: folder.path)
  }

  @Test(arguments: [("0-7", 4, true), ("0-3", 4, false), ("0,4", 1, false), ("1-2,6-7", 3, false)])
  func hyperthreadsDoNotCount(allowed: String, count: Int, isWhole: Bool) throws {
    let cores = try machine(allowed: allowed)
    #expect(cores.count == count && cores.isWhole == isWhole)
  }

  @Test(arguments: [
    ("sys/fs/cgroup/cpu.max", "250000 100000\n", 2), ("sys/fs/cgroup/cpu.max", "50000 100000\n", 1),
    ("sys/fs/cgroup/cpu.max", "max 100000\n", 4), ("sys/fs/cgroup/cpu.max", "800000 100000\n", 4),
  ])
  func containersHaveAShare(file: String, text: String, count: Int) throws {
    let cores = try machine(allowed: "0-7", [file: text])
    #expect(cores.count == count && cores.isWhole == (count == 4))
  }

  @Test func theOlderControlGroupsToo() throws {
    let files = ["sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"]
    #expect(try machine(allowed: "0-7", files).count == 3)
    #expect(try machine(allowed: "0-7", files.mapValues { $0.replacing("300000", with: "-1") }).count == 4)
  }

  @Test func thisMachineHasSome() {
    let cores = MachineCores()
    #expect(cores.count >= 1 && cores.count <= cores.allowed.count)
  }

  @Test(arguments: [
    ("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4", "4.1.4"),
    ("mpirun (Open MPI) 5.0.11\n\nReport", "5.0.11"),
    ("mpirun (Open MPI) 5.1.0a1", "5.1.0a1"), ("HYDRA build details: Version: 4.1.2", nil), ("", nil),
  ])
  func versionsOfOpenMPI(text: String, version: String?) { #expect(HostReport.openMPIVersion(text) == version) }
}
