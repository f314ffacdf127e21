import Testing

@testable import MPIRanks

/// Tasks that were started together and do not see each other.
@Suite struct StartedTasksTests {
  private static let library = "Open MPI v4.1.4, package: Debian OpenMPI"

  private func fault(_ environment: [String: String], ranks: Int) -> String? {
    StartedTasks(environment)?.fault(ranks: ranks, library: Self.library)
  }

  @Test(arguments: [
    ["SLURM_JOB_ID": "7", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"],
    ["SLURM_JOB_ID": "7", "SLURM_STEP_NUM_TASKS": "2", "PMI_SIZE": "2", "PMI_RANK": "1"],
  ])
  func slurmIsToStartThemWithPMIx(environment: [String: String]) throws {
    let fault = try #require(self.fault(environment, ranks: 1))
    #expect(fault.hasPrefix("MPI sees 1 of 2 tasks; start with srun --mpi=pmix "), "\(fault)")
    #expect(StartedTasks(environment)?.number == 1)
    #expect(self.fault(environment, ranks: 2) == nil)
  }

  @Test(arguments: [
    ["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0", "SLURM_JOB_ID": "7"],
    ["PMI_SIZE": "4", "PMI_RANK": "0"],
  ])
  func theMPIRunOfAnotherLibraryIsNamed(environment: [String: String]) throws {
    let fault = try #require(self.fault(environment, ranks: 1))
    #expect(
      fault.hasPrefix("MPI sees 1 of 4 tasks; start with the mpirun of this program's MPI library (Open MPI 4.1.4), "),
      "\(fault)")
  }

  /// One process in a job of many tasks: a batch script's, or one rank that mpirun started by way of srun.
  @Test(arguments: [
    [:], ["SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"],
    ["SLURM_JOB_ID": "7", "SLURM_STEP_NUM_TASKS": "1"],
    ["OMPI_COMM_WORLD_SIZE": "1", "SLURM_JOB_ID": "7", "SLURM_STEP_NUM_TASKS": "2"], ["PMI_SIZE": "x"],
  ])
  func oneAloneIsRight(environment: [String: String]) { #expect(fault(environment, ranks: 1) == nil) }
}
