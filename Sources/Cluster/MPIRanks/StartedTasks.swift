import Hosts
import Runs

/// How many processes were started together with this one, as what started them says, which need not be MPI.
struct StartedTasks {
  let count: Int
  /// This process among them, from 0.
  let number: Int
  private let isSlurm: Bool

  /// Where tasks know of each other without MPI: variables for their number and count, the likeliest to be right first.
  private static let variables = [
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
    // Not SLURM_NTASKS, which a batch script has that is itself one process.
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
  ]

  /// To be read before MPI starts, which sets such variables itself. nil where nothing is known.
  init?(_ environment: [String: String]) {
    let found = Self.variables.lazy.compactMap { number, count in
      environment[count].flatMap(Int.init).map { (environment[number].flatMap(Int.init) ?? 0, $0) }
    }.first
    guard let found else { return nil }
    (number, count) = found
    isSlurm = environment["OMPI_COMM_WORLD_SIZE"] == nil && environment["SLURM_JOB_ID"] != nil
  }

  /// What is wrong where MPI sees a task alone that is not; nil where it sees all of them, or there is but one. `library` is
  /// what MPI says of itself.
  func fault(ranks: Int, library: String) -> String? {
    guard ranks == 1, count > 1 else { return nil }
    let version = HostReport.openMPIVersion(library).map { "Open MPI \($0)" }
    let remedy =
      isSlurm
      ? "start with srun --mpi=pmix (srun --mpi=list tells what this Slurm has)"
      : "start with the mpirun of this program's MPI library (\(version ?? library))"
    return "MPI sees 1 of \(count) tasks; \(remedy), or runs that are meant to be apart with lockstep train"
  }
}
