import ArgumentParser
import Kernels
import ProgramOptions
import Runs
import TaskRegistry
import Terminal
import Training

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a run in this process, without MPI.",
    discussion: """
      Does what `lockstepd run` does, on one rank: with the same seed both follow
      the same losses. INT (Ctrl-C), TERM, HUP, USR1, USR2, XCPU or PWR makes it
      finish the step, save a checkpoint and stop with status 75; another of the first
      three, half a second later or more, ends it at once. Under nohup, HUP does nothing.

        lockstep train configs/default.yaml
        lockstep train configs/tiny-shakespeare.yaml --set corpus.text=input.txt
      """)

  @OptionGroup var options: RunOptions

  func run() throws {
    limitSpinning()
    Console.ignoreBrokenPipes()
    // Standard input may keep it waiting: until it is read there is nothing to save.
    let configuration = try options.readConfiguration()
    Interruption.catchSignals("lockstep train")
    let reporter = options.choices.makeReporter(configuration, style: Console.outputIsTerminal ? .live : .plain)
    let run = Run(
      configuration, task: configuration.task.task, group: SingleRank(), reporter: reporter,
      resume: options.choices.resume)
    if try run.start() == .interrupted { throw ExitCode(Interruption.exitStatus) }
  }
}
