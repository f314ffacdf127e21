import Hosts
import Runs
import Testing

@testable import Launching

@Suite struct RankCommandTests {
  private func command(
    _ launcher: MPILauncher, _ place: RankCommand.Place, ranks: Int? = nil, threads: Int = 1
  ) -> RankCommand {
    RankCommand(
      launcher: launcher, place: place, ranks: ranks, threads: threads, command: ["/opt/lockstepd", "run", "-"])
  }

  private func line(_ command: RankCommand, _ environment: [String: String] = [:]) -> String {
    let hostfile = command.hostfileText.map { _ in "FILE" }
    return command.arguments(hostfile: hostfile, environment: environment).joined(separator: " ")
  }

  private func deals(_ hosts: (CheckedHost, Int)...) -> RankCommand.Place {
    .hosts(hosts.map { RankDeal(host: $0.0, ranks: $0.1) })
  }

  @Test func onThisMachine() {
    #expect(
      line(command(Sample.openMPI4, .here(.none), ranks: 2, threads: 3))
        == "/usr/bin/mpirun --map-by slot:PE=3 -n 2 /opt/lockstepd run -")
    for sharing in [RankCommand.Sharing.part, .cores] {
      #expect(
        line(command(Sample.openMPI5, .here(sharing), ranks: 8))
          == "/opt/ompi/bin/mpirun --map-by slot:OVERSUBSCRIBE --bind-to none -n 8 /opt/lockstepd run -")
    }
  }

  @Test func whatRanksReadOfTheEnvironmentIsHandedOn() {
    let environment = [
      "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": "/opt", "HOME": "/root", "LOCKSTEP_X": "", "DNNL_VERBOSE": "1",
      "OMPI_MCA_btl": "tcp",
    ]
    #expect(
      line(command(Sample.openMPI4, .job), environment)
        == "/usr/bin/mpirun -x DNNL_VERBOSE -x LD_LIBRARY_PATH -x LOCKSTEP_X -x OMP_NUM_THREADS /opt/lockstepd run -")
  }

  @Test func inAJob() {
    #expect(
      line(command(Sample.openMPI5, .job, ranks: 4, threads: 2))
        == "/opt/ompi/bin/mpirun --bind-to none -n 4 /opt/lockstepd run -")
    let srun = "/usr/bin/srun --mpi=pmix --kill-on-bad-exit=1 --input=0 --cpus-per-task=2 --cpu-bind=cores"
    #expect(line(command(Sample.srun, .job, threads: 2)) == "\(srun) /opt/lockstepd run -")
    #expect(
      line(command(Sample.srun, .job, ranks: 6, threads: 2), ["LOCKSTEP_SLURM_MPI": "pmi2"])
        == "\(srun.replacing("pmix", with: "pmi2")) -n 6 /opt/lockstepd run -")
  }

  @Test(arguments: [Sample.openMPI4, Sample.openMPI5])
  func onHosts(launcher: MPILauncher) {
    let place = deals((Sample.host("a"), 2), (Sample.host("b"), 1))
    let bound = command(launcher, place, ranks: 3, threads: 2)
    #expect(
      line(bound)
        == "\(launcher.path) --hostfile FILE --map-by slot:PE=2 -n 3 /opt/lockstepd run -")
    // Open MPI 5 counts a rank's cores against its slots.
    #expect(bound.hostfileText == (launcher.isOpenMPI4 ? "a slots=2\nb slots=1\n" : "a slots=4\nb slots=2\n"))
    #expect(bound.hostsOfRanks == ["a", "a", "b"])
  }

  /// Hosts in containers: Open MPI would bind the ranks of all of them to the same cores.
  @Test(arguments: [Sample.openMPI4, Sample.openMPI5])
  func partsOfMachinesAreNotBound(launcher: MPILauncher) {
    let same = deals((Sample.host("a") { $0.machine = "m" }, 1), (Sample.host("b") { $0.machine = "m" }, 1))
    let part = deals((Sample.host("a"), 1), (Sample.host("b") { $0.cores.isWhole = false }, 1))
    for place in [same, part] {
      let command = command(launcher, place, ranks: 2, threads: 2)
      #expect(
        line(command)
          == "\(launcher.path) --hostfile FILE --map-by slot --bind-to none -n 2 /opt/lockstepd run -")
      #expect(command.hostfileText == "a slots=1\nb slots=1\n")
    }
  }

  @Test func thisHostHasItsOwnName() {
    let host = Sample.host("an-alias") {
      $0.machine = HostReport.machineID
      $0.name = HostReport.hostName
    }
    #expect(command(Sample.openMPI4, deals((host, 1))).hostfileText == "\(HostReport.hostName) slots=1\n")
  }

  @Test func theEnvironmentOfTheLauncher() {
    let place = deals((Sample.host("a.example.org"), 1))
    let (four, five) = (command(Sample.openMPI4, place, threads: 3), command(Sample.openMPI5, place))
    let given = ["PATH": "/usr/bin:/bin", "OMP_DYNAMIC": "true", "OMP_NUM_THREADS": "7"]
    let made = four.environment(given)
    #expect(made["OMPI_MCA_orte_keep_fqdn_hostnames"] == "true")
    #expect(five.environment(given)["OMPI_MCA_orte_keep_fqdn_hostnames"] == nil)
    #expect(made["OMP_DYNAMIC"] == "true" && made["OMP_NUM_THREADS"] == "3", "what is given stays, but for threads")
    #expect(made["OMP_WAIT_POLICY"] == nil)
    #expect(made["OMPI_MCA_opal_set_max_sys_limits"] == "openfiles:65536")
    let limit = ["OMPI_MCA_opal_set_max_sys_limits": "core:0"]
    #expect(four.environment(limit)["OMPI_MCA_opal_set_max_sys_limits"] == "core:0", "what is given stays")
    #expect(four.environment(["PATH": "/nowhere"])["OMPI_MCA_plm_rsh_agent"] == "false")
  }

  /// What waits by spinning keeps the core from what it waits for.
  @Test func sharedCoresAreGivenUp() {
    func yields(_ place: RankCommand.Place) -> Bool {
      let made = command(Sample.openMPI4, place).environment([:])
      #expect((made["OMP_WAIT_POLICY"] == "passive") == (made["OMPI_MCA_mpi_yield_when_idle"] == "1"))
      return made["OMP_WAIT_POLICY"] != nil
    }
    #expect(yields(.here(.cores)) && !yields(.here(.none)) && !yields(.job))
    let host = { (name: String, cores: ClosedRange<Int>) in
      Sample.host(name) { ($0.machine, $0.cores.allowed) = ("m", Array(cores)) }
    }
    #expect(yields(deals((host("a", 0...3), 1), (host("b", 2...5), 1))))
    #expect(!yields(deals((host("a", 0...3), 1), (host("b", 4...7), 1))))
    #expect(!yields(deals((Sample.host("a"), 1), (Sample.host("b"), 1))), "of two machines")
  }

  /// Ranks of this machine reach its launcher over loopback, those of others where they are reached.
  @Test func theLauncherIsReachedWhereItsRanksAre() {
    let own = MachineNetwork(id: "here", addresses: ["127.0.0.1"])
    func addresses(_ place: RankCommand.Place) -> [String] {
      command(Sample.openMPI4, place).launcherAddresses(own)
    }
    let host = { (name: String, addresses: [String]) in
      Sample.host(name) { $0.network = MachineNetwork(id: name, addresses: addresses) }
    }
    #expect(addresses(.here(.cores)) == ["127.0.0.1"])
    #expect(addresses(deals((host("here", []), 2))) == ["127.0.0.1"])
    #expect(addresses(deals((host("here", []), 1), (host("there", ["127.0.0.9"]), 1))) == ["127.0.0.1"])
    #expect(addresses(deals((host("there", []), 1))).isEmpty, "nobody knows")
    #expect(addresses(.job).isEmpty)
  }

  @Test func portsAreSaidToMPIRun() {
    var host = Sample.host("a")
    host.host.port = 2222
    let place = deals((host, 2), (Sample.host("b"), 1))
    #expect(command(Sample.openMPI4, place).hostfileText == "a slots=2 port=2222\nb slots=1\n")
  }
}
