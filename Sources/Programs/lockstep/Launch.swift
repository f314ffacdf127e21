import ArgumentParser
import Files
import Foundation
import Hosts
import Launching
import ProgramOptions
import Runs
import Terminal
import Training

struct Launch: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains on MPI ranks, of this machine or several, and starts them again when they are lost.",
    discussion: """
      Starts `lockstepd run` with mpirun or srun, after it has asked every host for
      its program, Open MPI, cores, corpus and checkpoints. CONFIG need only be here.

        lockstep launch configs/default.yaml
        lockstep launch -n 24 --hostfile hosts configs/ptb-large.yaml --set training.epochs=3
        lockstep launch --hostfile hosts --min-ranks 8 --max-restarts 20 configs/ptb-large.yaml
        lockstep launch --hostfile hosts configs/ptb-large.yaml --dry-run
        lockstep launch --serve --data /data/texts --listen 127.0.0.1:8080

      A hostfile is Open MPI's: a host a line, as in 'node1 slots=16'. Without one,
      ranks are on this machine, or where a job of Slurm, PBS or LSF has room for them.

      When a rank, a host or mpirun is lost, the ranks are started again from the
      newest checkpoint. Errors that a rank tells are not tried again.

      INT (Ctrl-C), TERM, HUP, USR1, USR2, XCPU or PWR makes the ranks finish the step,
      save a checkpoint and stop; another of the first three ends them at once. Under
      nohup, HUP does nothing. The exit status is 0 when the run is finished, 75 when
      it was stopped and can be resumed, and otherwise that of mpirun.
      """)

  @Argument(
    help: "The run's configuration, a YAML file (see configs/README.md), or - for standard input.",
    completion: .file(extensions: ["yaml", "yml"]))
  var configuration: String?

  @Option(
    name: [.customShort("n"), .long],
    help: "Ranks; without it one for each slot, or for each core of this machine that may be used.")
  var ranks: Int?

  @Option(help: "The hosts, a line each.", completion: .file())
  var hostfile: String?

  @Option(
    help:
      "Threads of each rank; without it OMP_NUM_THREADS, or as many as leave no core of this machine idle; 1 on several hosts."
  )
  var threads: Int?

  @Option(help: "How often lost ranks are started again, at most.")
  var maxRestarts = 5

  @Option(help: "Continue with this many ranks or more when hosts are lost. Default: wait for all hosts.")
  var minRanks: Int?

  @Option(help: "What starts the ranks; auto: mpirun, or in a Slurm job without one srun.")
  var launcher: LauncherChoice = .auto

  @Option(
    help: "lockstepd, at the same path on all hosts; without it the one beside this program.", completion: .file())
  var program: String?

  @Flag(help: "Look at hosts and print what would be started, and start nothing.")
  var dryRun = false

  @Flag(help: "Keep up a daemon with a queue (`lockstepd serve`) in place of a run.")
  var serve = false

  @Option(help: "Of --serve: the folder of the runs and their queue.", completion: .directory)
  var directory = "checkpoints"

  @OptionGroup var data: DataOptions
  @OptionGroup var listening: ListeningOptions
  @OptionGroup var choices: RunChoices

  enum LauncherChoice: String, CaseIterable, ExpressibleByArgument { case auto, mpirun, srun }

  func validate() throws {
    guard serve != (configuration != nil) else {
      throw ValidationError(serve ? "--serve takes no CONFIG: runs are put in its queue" : "name a CONFIG, or --serve")
    }
    if !serve, !data.folders.isEmpty {
      throw ValidationError("--data is for --serve: a run by itself may read whatever you may")
    }
    if serve, !choices.settings.isEmpty { throw ValidationError("--serve takes no --set: runs have settings") }
    for (name, value) in [("-n", ranks), ("--threads", threads), ("--min-ranks", minRanks)] {
      if let value, value < 1 { throw ValidationError("\(name) is \(value); expected 1 or more") }
    }
    guard maxRestarts >= 0 else { throw ValidationError("--max-restarts is \(maxRestarts); expected 0 or more") }
    if let minRanks, let ranks, minRanks > ranks {
      throw ValidationError("--min-ranks is \(minRanks) and -n \(ranks); expected no more than that")
    }
  }

  func run() throws {
    Console.ignoreBrokenPipes()
    let requests = StopRequests()
    StopSignals.handle(StopSignals.all) { requests.note($0) }
    let run = try configuration.map { try RunOptions.readConfiguration($0, settings: choices.settings) }
    let mpi = try MPILauncher.find(MPILauncher.Kind(rawValue: launcher.rawValue))
    let program = program ?? HostReport.programFolder + "/lockstepd"
    let yaml = try run.map { try ConfigurationReader.yaml(of: $0) }
    let hosts = try readHosts()
    try checkNumbers(run, isHere: hosts == nil && !Self.isInJob)
    let place: RankCommand.Place
    let (ranks, threads): (Int?, Int)
    if hosts != nil || Self.isInJob {
      (place, ranks, threads) = (.job, self.ranks, try givenThreads(run) ?? 1)
    } else {
      (place, ranks, threads) = try planHere(try givenThreads(run))
    }
    let planner = HostPlanner(
      launcher: mpi, program: program,
      digest: FileSystem.exists(program) ? try HostReport.programDigest(program) : nil, threads: threads, ranks: ranks,
      distributesCorpus: run?.corpus.distribute ?? false, keepsOrder: serve)
    // The hosts of a job may have what this one has not.
    let probe = HostProbe(program: program, mpirun: mpi, configuration: place == .job && hosts == nil ? nil : yaml)
    let site = try LaunchSite(
      probe: probe, input: yaml.map { $0 + RunOptions.endOfDocument } ?? "", requests: requests, tell: Self.say)
    let watch = HubWatch(timeout: (run ?? RunConfiguration()).training.stallTimeout)
    let supervisor = Supervisor(
      Supervisor.Task(
        hosts: hosts, planner: planner, place: place, first: arguments(resume: choices.resume),
        later: arguments(resume: .auto), minimumRanks: minRanks),
      stage: site, watch: watch, requests: requests, policy: RestartPolicy(maximum: maxRestarts, isDaemon: serve))
    do {
      if hosts == nil { try Self.checkHere(planner, site) }
      let command = try supervisor.plan()
      Self.say(command.summary)
      if dryRun { return try site.show(command) { Console.output($0) } }
      let status = try supervisor.run(command)
      if status != 0 { throw ExitCode(status) }
    } catch let refusal as LaunchRefusal {
      for fault in refusal.faults { Self.say("\(fault)") }
      throw ExitCode.failure
    }
  }

  /// Ranks that cannot all train are not started, nor more processes than a machine can hold.
  private func checkNumbers(_ run: RunConfiguration?, isHere: Bool) throws {
    var (most, reason) = (1_000_000, "no cluster has more cores")
    if let run {
      let (key, lanes) =
        run.training.reproducible
        ? ("training.laneGroups", run.training.laneGroups) : ("training.batchSize", run.training.batchSize)
      most = lanes + run.coordinator.evaluators
      reason = "\(key) is \(lanes), and a rank that trains takes one at least"
    }
    let cores = MachineCores().count
    if isHere, cores * Self.mostRanksOfCore < most {
      most = cores * Self.mostRanksOfCore
      reason = "\(Self.mostRanksOfCore) for each core of this machine, which has \(cores)"
    }
    for (name, value) in [("-n", ranks), ("--min-ranks", minRanks)] {
      if let value, value > most { throw ValidationError("\(name) is \(value); expected 1 to \(most): \(reason)") }
    }
    if let threads, threads > Self.mostThreads {
      throw ValidationError("--threads is \(threads); expected 1 to \(Self.mostThreads), as of training.threads")
    }
  }

  /// Far more than is of use: it keeps a slip of the finger from filling the machine with processes.
  private static let mostRanksOfCore = 32
  private static let mostThreads = 4096

  private static func say(_ text: String) { Console.error("lockstep launch: \(text)\n") }

  // MARK: - Where and how many

  private static var environment: [String: String] { ProcessInfo.processInfo.environment }

  private static var isInJob: Bool {
    ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"].contains { environment[$0]?.isEmpty == false }
  }

  /// Those of the option, or of a hostfile that Open MPI was told of, as by the MPI operator of Kubernetes.
  private func readHosts() throws -> [LaunchHost]? {
    let told = ["OMPI_MCA_orte_default_hostfile", "PRTE_MCA_prte_default_hostfile"].compactMap { Self.environment[$0] }
    guard let path = hostfile ?? told.first else { return nil }
    guard let text = try MappedFile.withBytes(of: path, { String(validating: $0, as: UTF8.self) }) else {
      throw HostfileError(mistakes: ["\(path): this is not UTF-8 text; expected a host a line"])
    }
    return try Hostfile.parse(text, name: path)
  }

  private func givenThreads(_ run: RunConfiguration?) throws -> Int? {
    if let threads { return threads }
    if let run, run.training.reproducible { return 1 }
    if let run, run.training.threads > 0 { return run.training.threads }
    guard let text = Self.environment["OMP_NUM_THREADS"], !text.isEmpty else { return nil }
    guard let number = Int(text.prefix { $0 != "," }), (1...Self.mostThreads).contains(number) else {
      throw LaunchError("OMP_NUM_THREADS is '\(text)'; expected a number from 1 to \(Self.mostThreads)")
    }
    return number
  }

  private func planHere(_ given: Int?) throws -> (RankCommand.Place, Int, Int) {
    let cores = MachineCores()
    let ranks = ranks ?? max(1, cores.count / (given ?? 1))
    let threads = given ?? max(1, cores.count / ranks)
    if ranks * threads > cores.count { return (.here(.cores), ranks, threads) }
    return (.here(cores.isWhole ? .none : .part), ranks, threads)
  }

  /// Of this machine, where there is no hostfile. Throws `LaunchRefusal`.
  private static func checkHere(_ planner: HostPlanner, _ site: LaunchSite) throws {
    let host = LaunchHost(name: HostReport.hostName, place: "this machine")
    var planner = planner
    planner.threads = 1
    let report = try site.ask([host])[0].mapError { LaunchRefusal([$0]) }.get()
    let faults = planner.faults([CheckedHost(host, report)])
    if !faults.isEmpty { throw LaunchRefusal(faults) }
  }

  /// Of lockstepd.
  private func arguments(resume: ResumePolicy) -> [String] {
    let common = ["--log-format", choices.logFormat.rawValue] + (listening.listen.map { ["--listen", "\($0)"] } ?? [])
    if serve { return ["serve", "--directory", directory] + data.folders.flatMap { ["--data", $0] } + common }
    // A rank's output always looks like a terminal: only here is it known what it really is.
    let progress = choices.progress ?? (Console.outputIsTerminal ? .live : .plain)
    return ["run", "-", "--resume", resume.rawValue, "--progress", progress.rawValue] + common
  }
}
