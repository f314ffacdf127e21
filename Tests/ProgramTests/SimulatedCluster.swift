import Foundation
import TestSupport
import Testing

/// Hosts on this machine, made by `launch/simulate-cluster`, which needs root; gone with this value.
///
/// Each has lockstep, lockstepd and a hostfile of all nodes in its home folder.
final class SimulatedCluster: Sendable {
  private let name = "test-\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString.prefix(8))"
  private let folder: TemporaryFolder
  private static let program = "\(Programs.repository)/launch/simulate-cluster"

  /// Whether the system lets this user make hosts at all. Where it does, a test whose cluster cannot be made fails.
  static let isPermitted: Bool = {
    guard geteuid() == 0 else { return false }
    let outcome = try? Programs.run("unshare", ["--net", "--uts", "--mount", "--pid", "--fork", "true"], in: "/tmp")
    return outcome?.status == 0
  }()
  static let isForbidden: Comment = "hosts of namespaces need root, and a system that lets it make them"

  /// Throws where none can be made: a test that needs one fails.
  init(nodes: Int, options: [String] = []) throws {
    folder = try TemporaryFolder()
    try command(["up", "\(nodes)"] + options)
    do {
      try copy("\(Programs.folder)/lockstep", "\(Programs.folder)/lockstepd")
    } catch {
      end()
      throw error
    }
  }

  deinit { end() }

  private func end() {
    do { try command(["down"]) } catch { print("\(error)") }
  }

  /// `launch/simulate-cluster …`, which has to succeed.
  @discardableResult
  func command(_ arguments: [String]) throws -> Outcome {
    let outcome = try simulate(arguments)
    try #require(outcome.status == 0, "simulate-cluster \(arguments): \(outcome.error)")
    return outcome
  }

  private func simulate(
    _ arguments: [String], seconds: Double = 60, signal: Int32? = nil, whenOutputHas text: String = ""
  ) throws -> Outcome {
    try Programs.run(
      Self.program, ["--name", name] + arguments, in: folder.path, seconds: seconds, signal: signal,
      whenOutputHas: text)
  }

  func copy(on host: String = "all", _ paths: String...) throws { try command(["copy", "--on", host] + paths) }

  /// Writes a file into the home folder of a host.
  func write(_ name: String, _ text: String, on host: String = "all") throws {
    try copy(on: host, try folder.write(name, text))
  }

  /// A command in a host's home folder.
  func run(_ host: String, _ command: String..., seconds: Double = 60) throws -> Outcome {
    try simulate(["run", host] + command, seconds: seconds)
  }

  /// A shell's script in a host's home folder, which has to succeed.
  @discardableResult
  func shell(_ host: String, _ script: String) throws -> String {
    let outcome = try run(host, "bash", "-ec", script)
    try #require(outcome.status == 0, "\(script) on \(host): \(outcome.error)")
    return outcome.output
  }

  /// Brings a folder of a host's home folder into a local one.
  func fetch(_ name: String, from host: String, into folder: TemporaryFolder) throws {
    // Through a pipe between programs: what is in it need not be text.
    let script = "\"$0\" --name \"$1\" run \"$2\" tar -cf - -- \"$3\" | tar -xf -"
    let outcome = try Programs.run(
      "bash", ["-o", "pipefail", "-c", script, Self.program, self.name, host, name], in: folder.path)
    try #require(outcome.status == 0, "\(name) from \(host): \(outcome.error)")
  }

  /// `lockstep launch` on head, one thread a rank.
  func launch(_ arguments: [String], seconds: Double = 120) throws -> Outcome {
    try simulate(["run", "head", "env", "OMP_NUM_THREADS=1", "./lockstep", "launch"] + arguments, seconds: seconds)
  }

  /// `mpirun …` on head, one thread a rank.
  func mpirun(
    _ arguments: [String], seconds: Double = 120, signal: Int32? = nil, whenOutputHas text: String = ""
  ) throws -> Outcome {
    try simulate(
      ["run", "head", "mpirun", "-x", "OMP_NUM_THREADS=1", "-x", "OMPI_MCA_mpi_yield_when_idle=1"] + arguments,
      seconds: seconds, signal: signal, whenOutputHas: text)
  }
}
