import ArgumentParser
import ControlAPI
import Daemon
import Kernels
import MPIRanks
import ProgramOptions
import Runs
import Terminal
import Training

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Trains one run, evaluates it and writes samples.",
    discussion: """
      The run's folder is checkpoints/<name>. A run that is started again resumes from its newest checkpoint.

        mpirun -n 4 lockstepd run configs/tiny-shakespeare.yaml
        mpirun -n 4 lockstepd run configs/ptb-large.yaml --log-format json > log.jsonl

      While it trains it answers at a Unix socket in its folder: `lockstep ask status --directory checkpoints/<name>`,
      `lockstep view --directory checkpoints/<name>`.

      USR1 (which mpirun hands on to the ranks), or the end of training.timeLimit, makes it finish the step, save
      a checkpoint and stop; so do INT, TERM, HUP, USR2, XCPU and PWR where they reach a rank. Another of INT, TERM
      and HUP, half a second later or more, ends it at once. The exit status is 0 when the run is finished, 75 when it was stopped and can be gone
      on with, and 1 after an error.
      """)

  @OptionGroup var options: RunOptions
  @OptionGroup var listening: ListeningOptions

  func run() throws {
    limitSpinning()
    Console.ignoreBrokenPipes()
    Interruption.catchSignals("lockstepd")
    let status = MPIProgram.run("lockstepd") { group in
      // Read once, so that no rank can have another one.
      let own = try group.onFirst { try options.readConfiguration() }
      let yaml = try group.broadcast(Array(own.map(ConfigurationReader.yaml)?.utf8 ?? "".utf8))
      let configuration = try ConfigurationReader.read(yaml: String(decoding: yaml, as: UTF8.self))
      // Under mpirun a rank's output always looks like a terminal: who started it says so if it is one.
      let reporter = options.choices.makeReporter(configuration, style: .plain)
      let outcome = try ControlledRun.start(
        configuration, group: group, reporter: reporter, resume: options.choices.resume, address: listening.listen)
      try Console.checkOutput()
      return outcome == .interrupted ? Interruption.exitStatus : 0
    }
    throw ExitCode(status)
  }
}
