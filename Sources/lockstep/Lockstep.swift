import ArgumentParser
import Kernels
import Runs

/// The command line for one machine and one person; no MPI.
@main
struct Lockstep: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lockstep",
    abstract: "Trains and uses recurrent language models on one machine.",
    discussion: """
        lockstep train configs/default.yaml
        lockstep evaluate checkpoints/default text.txt
        lockstep generate checkpoints/default --prompt "the cats" --temperature 0.8
        lockstep corpus prepare --tokenizer words --output tokens text.txt
        lockstep job submit configs/default.yaml
        lockstep ask generate --prompt "the cats"
        lockstep view
      """,
    version: programVersion,
    subcommands: [
      Train.self, Evaluate.self, Generate.self, CorpusCommand.self, JobCommand.self, AskCommand.self, ViewCommand.self,
    ])

  /// Errors of the world are printed with their remedy; what is wrong with the command line, with its usage.
  static func main() {
    flushSubnormals()
    do {
      var command = try parseAsRoot()
      try command.run()
      try Console.checkOutput()
    } catch let error as ExitCode {
      exit(withError: error)
    } catch {
      if exitCode(for: error) != .failure || error is CleanExit { exit(withError: error) }
      Console.error("lockstep: error: \(error)\n")
      exit(withError: ExitCode.failure)
    }
  }
}

enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  case text
  case json
}
