import Foundation
import Glibc
import Hosts
import Runs

/// The command that starts ranks, and its environment.
public struct RankCommand: Equatable, Sendable {
  /// Where ranks are.
  public enum Place: Equatable, Sendable {
    /// On this machine, each thread with a core of its own; on that part of it that may be used; or sharing cores.
    case here(Sharing)
    /// On hosts given.
    case hosts([RankDeal])
    /// On those of a job of Slurm, PBS or LSF, which tells the launcher.
    case job
  }

  public enum Sharing: Equatable, Sendable { case none, part, cores }

  public var launcher: MPILauncher
  public var place: Place
  /// nil: one for each slot of a job.
  public var ranks: Int?
  public var threads: Int
  /// lockstepd and its arguments.
  public var command: [String]

  public init(launcher: MPILauncher, place: Place, ranks: Int?, threads: Int, command: [String]) {
    self.launcher = launcher
    self.place = place
    self.ranks = ranks
    self.threads = threads
    self.command = command
  }

  // MARK: - Arguments

  /// `hostfile` is the path of a file with `hostfileText`. Every option means the same to Open MPI 4 and 5.
  public func arguments(hostfile: String?, environment: [String: String]) -> [String] {
    let count = ranks.map { ["-n", "\($0)"] } ?? []
    switch launcher.kind {
    case .mpirun:
      // Not --quiet: it would also hide why a rank was killed or could not be started.
      return [launcher.path] + (hostfile.map { ["--hostfile", $0] } ?? []) + binding + count
        + exported(environment).flatMap { ["-x", $0] } + command
    case .srun:
      return [
        launcher.path, "--mpi=\(environment["LOCKSTEP_SLURM_MPI"] ?? "pmix")", "--kill-on-bad-exit=1", "--input=0",
        "--cpus-per-task=\(threads)", "--cpu-bind=cores",
      ] + count + command
    }
  }

  private var binding: [String] {
    switch place {
    // Dealt to cores, and bound to them at first: a rank lets go by itself where nobody says --bind-to (`RankBinding`).
    case .here(.none): ["--map-by", "slot:PE=\(threads)"]
    // Binding counts from the machine's first core, whichever ones may be used: leave it to the system.
    case .here: ["--map-by", "slot:OVERSUBSCRIBE", "--bind-to", "none"]
    case .hosts(let deals):
      bindsHosts(deals)
        ? ["--map-by", "slot:PE=\(threads)"] : ["--map-by", "slot", "--bind-to", "none"]
    // mpirun counts slots and binds ranks of one thread by itself. A job has its cores to itself already, and Open MPI 5
    // counts them against its slots.
    case .job: threads > 1 ? ["--bind-to", "none"] : []
    }
  }

  /// Not where a host may use a part of its cores, or two hosts are parts of one machine.
  private func bindsHosts(_ deals: [RankDeal]) -> Bool {
    deals.allSatisfy(\.host.report.cores.isWhole) && Set(deals.map(\.host.report.machine)).count == deals.count
  }

  /// Whether ranks take cores from each other: as told, or on hosts that are parts of one machine.
  private var sharesCores: Bool {
    switch place {
    case .here(let sharing): return sharing == .cores
    case .hosts(let deals):
      let machines = Dictionary(grouping: deals, by: \.host.report.machine).values
      return machines.contains { parts in
        let allowed = parts.map { Set($0.host.report.cores.allowed) }
        return allowed.reduce(0) { $0 + $1.count } > allowed.reduce(into: Set()) { $0.formUnion($1) }.count
      }
    case .job: return false
    }
  }

  /// One line a host in the order of ranks; nil where the launcher knows its hosts.
  public var hostfileText: String? {
    guard case .hosts(let deals) = place else { return nil }
    // Open MPI 5 counts a rank's cores against its slots.
    let each = launcher.isOpenMPI4 || !bindsHosts(deals) ? 1 : threads
    return deals.map { deal in
      // A host's own name spares ssh to itself.
      let report = deal.host.report
      let isHere = report.machine == HostReport.machineID && report.name == HostReport.hostName
      let name = isHere ? report.name : deal.host.host.name
      let port = isHere ? nil : deal.host.host.port.map { " port=\($0)" }
      return "\(name) slots=\(deal.ranks * each)\(port ?? "")\n"
    }.joined()
  }

  /// Host of each rank, where that is known.
  public var hostsOfRanks: [String] {
    guard case .hosts(let deals) = place else { return [] }
    return deals.flatMap { deal in Array(repeating: deal.host.host.name, count: deal.ranks) }
  }

  /// Addresses of this machine, `own`, at which the ranks can reach it; none where that is not known.
  public func launcherAddresses(_ own: MachineNetwork = .current) -> [String] {
    switch place {
    case .here: own.addresses(facing: [])
    case .hosts(let deals): own.addresses(facing: deals.map(\.host.report.network))
    case .job: []
    }
  }

  /// Ranks, threads and where they are, for people.
  public var summary: String {
    let (count, each) = (ranks.map { "\($0)" } ?? "one per slot", "threads each: \(threads)")
    switch place {
    case .here(.none): return "ranks: \(count), \(each), a core for every thread"
    case .here(.part): return "ranks: \(count), \(each), on that part of this machine that may be used"
    case .here(.cores): return "ranks: \(count), \(each); they share cores: expect it to be slow"
    case .hosts(let deals):
      let hosts = deals.map { "\($0.ranks) on \($0.host.host.name)" }.joined(separator: ", ")
      return "ranks: \(count) (\(hosts)), \(each)"
    case .job: return "ranks: \(count), \(each)"
    }
  }

  // MARK: - Environment

  /// The environment of the launcher: what `given` says stays.
  public func environment(_ given: [String: String]) -> [String: String] {
    var own = ["OMP_DYNAMIC": "false"]  // results depend on the number of threads
    // What waits by spinning keeps the core from what it waits for.
    if sharesCores {
      own["OMP_WAIT_POLICY"] = "passive"
      own["OMPI_MCA_mpi_yield_when_idle"] = "1"
    }
    if launcher.kind == .mpirun {
      // Its daemons end where they can have no more files open, and anyone may connect to them: as many as they may ask for.
      own["OMPI_MCA_opal_set_max_sys_limits"] = "openfiles:65536"
      // It refuses to work for root, which is who one is in most containers.
      if geteuid() == 0 { for name in ["", "_CONFIRM"] { own["OMPI_ALLOW_RUN_AS_ROOT\(name)"] = "1" } }
      // Without a remote shell Open MPI 4 does not even start ranks on this machine: name one, which it then never calls.
      let folders = (given["PATH"] ?? "").split(separator: ":")
      if !folders.contains(where: { FileManager.default.isExecutableFile(atPath: "\($0)/ssh") }) {
        own["OMPI_MCA_plm_rsh_agent"] = "false"
      }
      // It would cut names at the first dot.
      if launcher.isOpenMPI4, hostsOfRanks.contains(where: { $0.contains(".") }) {
        own["OMPI_MCA_orte_keep_fqdn_hostnames"] = "true"
      }
    }
    return own.merging(given) { $1 }.merging(["OMP_NUM_THREADS": "\(threads)"]) { $1 }
  }

  /// Ranks on other hosts start from an empty environment, but for Open MPI's own variables.
  private func exported(_ environment: [String: String]) -> [String] {
    environment.keys.filter { name in
      name == "LD_LIBRARY_PATH" || ["OMP_", "DNNL_", "ONEDNN_", "LOCKSTEP_"].contains { name.hasPrefix($0) }
    }.sorted()
  }
}
