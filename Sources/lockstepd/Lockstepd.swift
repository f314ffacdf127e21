import ArgumentParser
import Daemon
import Foundation
import ProgramOptions
import Runs
import Training

/// The training daemon: started on every rank by mpirun.
@main
struct Lockstepd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lockstepd",
    abstract: "Trains stacked recurrent language models on MPI ranks.",
    discussion: """
      Start it with mpirun: every rank trains a replica of the model on its part of the text.

        mpirun -n 4 lockstepd run configs/ptb-small.yaml
        mpirun -n 2 lockstepd run configs/default.yaml --set training.epochs=3
      """,
    version: programVersion,
    subcommands: [RunCommand.self])

  /// Every rank reads the command line; what is wrong with it, or asked of it, is said by the first alone.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      let environment = ProcessInfo.processInfo.environment
      let rank = environment["OMPI_COMM_WORLD_RANK"] ?? environment["PMIX_RANK"] ?? "0"
      if rank != "0" { exit(withError: exitCode(for: error)) }
      exit(withError: error)
    }
  }

  struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
      abstract: "Trains one run, evaluates it and writes samples.",
      discussion: """
        The run's folder is checkpoints/<name>; started again, it goes on from its newest checkpoint.

          mpirun -n 4 lockstepd run configs/tiny-shakespeare.yaml
          mpirun -n 4 lockstepd run configs/ptb-large.yaml --log-format json > log.jsonl

        USR1 (which mpirun hands on to the ranks), or the end of training.timeLimit, makes it finish the step, save
        a checkpoint and stop. The exit status is 0 when the run is finished, 75 when it was stopped and can be gone
        on with, and 1 after an error.
        """)

    @OptionGroup var options: RunOptions

    func run() throws {
      Console.ignoreBrokenPipes()
      Interruption.catchSignals()
      let status = MPIProgram.run("lockstepd") { group in
        // Read once, so that no rank can have another one.
        let own = try group.onFirst { try options.readConfiguration() }
        let yaml = try group.share(Array(own.map(ConfigurationReader.yaml)?.utf8 ?? "".utf8))
        let configuration = try ConfigurationReader.read(yaml: String(decoding: yaml, as: UTF8.self))
        // Under mpirun a rank's output always looks like a terminal: who started it says so if it is one.
        let reporter = options.makeReporter(configuration, style: .plain)
        let run = Run(configuration, group: group, reporter: reporter, resume: options.resume)
        let outcome = try run.start()
        try Console.checkOutput()
        return outcome == .interrupted ? Interruption.exitStatus : 0
      }
      throw ExitCode(status)
    }
  }
}
