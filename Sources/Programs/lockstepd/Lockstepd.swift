import ArgumentParser
import Daemon
import Files
import Foundation
import Hosts
import Kernels
import ProgramOptions
import Runs
import Terminal
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
        mpirun -n 4 lockstepd serve
        mpirun -n 2 lockstepd benchmark configs/ptb-small.yaml

      While it trains, `lockstep ask`, `lockstep job` and `lockstep view` talk to it.
      """,
    version: programVersion,
    subcommands: [RunCommand.self, ServeCommand.self, Check.self, BenchmarkCommand.self])

  /// Every rank reads the command line; what is wrong with it, or asked of it, is said by the first alone.
  static func main() {
    flushSubnormals()
    FileSystem.letLimitsFail()
    MappedFile.explainTruncation(as: "lockstepd: error: ")
    Descriptors.raiseLimit()
    do {
      var command = try parseAsRoot(CommandLineArguments.read())
      try command.run()
    } catch {
      let environment = ProcessInfo.processInfo.environment
      let rank = environment["OMPI_COMM_WORLD_RANK"] ?? environment["PMIX_RANK"] ?? "0"
      let code = exitCode(for: error)
      if rank != "0" { exit(withError: code) }
      if code.isSuccess { exit(withError: error) }
      // In one piece: mpirun, which has words of its own for it, would put them between pieces.
      let message = fullMessage(for: error)
      if !message.isEmpty { Console.error("\(message)\n\(CommandLineArguments.hint(after: message))") }
      exit(withError: code)
    }
  }
}
