import Foundation
import Hosts
import Runs

/// The program that starts ranks: Open MPI's mpirun, or Slurm's srun.
public struct MPILauncher: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable { case mpirun, srun }

  public let kind: Kind
  public let path: String
  /// As in 4.1.4; of srun what it says.
  public let version: String

  public init(kind: Kind, path: String, version: String) {
    self.kind = kind
    self.path = path
    self.version = version
  }

  /// From 5 on, Open MPI's mpirun is PRRTE's.
  var isOpenMPI4: Bool { kind == .mpirun && version.hasPrefix("4.") }

  /// Where it is installed, with its other parts and libraries below.
  var prefix: String { URL(fileURLWithPath: path).deletingLastPathComponent().deletingLastPathComponent().path }

  /// Finds one on PATH: the kind asked for, or else mpirun, or in a Slurm job without one srun. Throws `LaunchError`.
  public static func find(
    _ kind: Kind?, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> MPILauncher {
    func path(_ kind: Kind) -> String? {
      (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(kind)" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
    let isInSlurm = environment["SLURM_JOB_ID"] != nil
    let kind = kind ?? (path(.mpirun) == nil && isInSlurm && path(.srun) != nil ? .srun : .mpirun)
    guard let path = path(kind) else {
      throw LaunchError(
        "expected \(kind) on PATH, found none; "
          + (kind == .mpirun ? "install Open MPI, or load its module" : "it comes with Slurm: use --launcher mpirun"))
    }
    if kind == .srun { return MPILauncher(kind: kind, path: path, version: "") }
    // What hangs once may not do so again.
    guard let version = HostReport.versionOfMPIRun(path) ?? HostReport.versionOfMPIRun(path) else {
      throw LaunchError("expected \(path) to be Open MPI's, and it does not say so; put Open MPI's first on PATH")
    }
    guard let major = Int(version.prefix { $0 != "." }), (4...5).contains(major) else {
      throw LaunchError("expected Open MPI 4 or 5, found \(version) at \(path); put another one first on PATH")
    }
    return MPILauncher(kind: kind, path: path, version: version)
  }
}
