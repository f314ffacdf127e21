import ArgumentParser
import Daemon
import Glibc
import ProgramOptions
import Runs

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

  struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
      abstract: "Trains one run, evaluates it and writes samples.",
      discussion: """
        The run's folder is checkpoints/<name>; started again, it goes on from its newest checkpoint.

          mpirun -n 4 lockstepd run configs/tiny-shakespeare.yaml
          mpirun -n 4 lockstepd run configs/ptb-large.yaml --log-format json > log.jsonl

        The exit status is 0 when the run is finished and 1 after an error.
        """)

    @OptionGroup var options: RunOptions

    func run() throws {
      let status = MPIProgram.run("lockstepd") { group in
        let configuration = try group.together { try options.readConfiguration() }
        // Under mpirun a rank's output always looks like a terminal: who started it says so if it is one.
        let reporter = options.makeReporter(configuration, style: .plain)
        try Run(configuration, group: group, reporter: reporter, resume: options.resume).start()
      }
      throw ExitCode(status)
    }
  }
}
