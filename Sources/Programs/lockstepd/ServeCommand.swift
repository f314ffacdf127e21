import ArgumentParser
import ControlAPI
import Daemon
import Kernels
import MPIRanks
import ProgramOptions
import Reporting
import Runs
import TaskRegistry
import Terminal
import Training

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Stays up and trains the runs of a queue, one after another.",
    discussion: """
      Runs are put into the queue with `lockstep job submit` and have their folders below the daemon's. The queue is
      kept on disk, so a restarted daemon resumes its work. A failed run is marked, and the next one
      begins; one that has taken the daemon down three times without a new checkpoint is not begun again. Runs may
      read texts, vocabularies and models in the daemon's folder, in the one it was started in and in those of --data,
      and keep tokens in the first two.

        mpirun -n 4 lockstepd serve
        mpirun -n 4 lockstepd serve --directory /scratch/runs --data /scratch/texts --listen 127.0.0.1:8080

        lockstep job submit configs/default.yaml
        lockstep job watch
        lockstep view

      It answers at a Unix socket in its folder, and over TCP if asked. USR1 (which mpirun hands on to the ranks) makes
      it save the run under way and end: with status 75 if there is more to do, else with 0.
      """)

  @Option(help: "The folder of the runs and their queue.")
  var directory = "checkpoints"

  @OptionGroup var data: DataOptions

  @OptionGroup var listening: ListeningOptions

  @Option(help: "What is printed of the runs: text for people, json for programs (one object a line).")
  var logFormat: LogFormat = .text

  func run() throws {
    limitSpinning()
    Console.ignoreBrokenPipes()
    Interruption.catchSignals("lockstepd")
    let status = MPIProgram.run("lockstepd") { group in
      let daemon = try QueueDaemon(
        directory: directory, data: data.folders, group: group, address: listening.listen
      ) { configuration in
        logFormat.makeReporter(
          configuration.task.task.measures.metrics, style: .plain,
          interval: .seconds(configuration.output.reportSeconds))
      }
      return try daemon.serve() ? Interruption.exitStatus : 0
    }
    throw ExitCode(status)
  }
}
