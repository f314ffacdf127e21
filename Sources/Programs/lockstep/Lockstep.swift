import ArgumentParser
import Files
import Hosts
import Kernels
import ProgramOptions
import Runs
import Terminal

/// The command line for one machine and one person; no MPI.
@main
struct Lockstep: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lockstep",
    abstract: "Trains and uses recurrent language models on one machine.",
    discussion: """
        lockstep train configs/default.yaml
        lockstep launch configs/ptb-large.yaml --hostfile hosts
        lockstep ngram text.txt --order 5 --output model.ngrams
        lockstep generate checkpoints/default --prompt "the cats" --temperature 0.8
        lockstep complete checkpoints/default "the cats"
        lockstep score checkpoints/default hypotheses.txt --rank
        lockstep evaluate checkpoints/default text.txt
        lockstep mix checkpoints/ptb words.ngrams --tune valid.txt --output both.yaml
        lockstep inspect checkpoints/default
        lockstep export checkpoints/default --output default.onnx
        lockstep plot checkpoints/default --output curves.svg
        lockstep compare checkpoints/default checkpoints/wide
        lockstep corpus prepare --tokenizer words --output tokens text.txt
        lockstep job submit configs/default.yaml
        lockstep ask generate --prompt "the cats"
        lockstep view
      """,
    version: programVersion,
    groupedSubcommands: [
      CommandGroup(name: "Learning:", subcommands: [Train.self, Launch.self, NGram.self, CorpusCommand.self]),
      CommandGroup(
        name: "Using a model:", subcommands: [Generate.self, Complete.self, Score.self, Evaluate.self, Mix.self]),
      CommandGroup(
        name: "Looking at models and runs:", subcommands: [Inspect.self, Plot.self, Compare.self]),
      CommandGroup(name: "Other tools:", subcommands: [Export.self, Import.self]),
      CommandGroup(
        name: "Talking to a daemon:", subcommands: [JobCommand.self, AskCommand.self, ViewCommand.self]),
    ])

  /// Errors of the world are printed with their remedy; what is wrong with the command line, with its usage.
  static func main() {
    flushSubnormals()
    FileSystem.letLimitsFail()
    Descriptors.raiseLimit()
    Console.endWithBrokenPipes()
    MappedFile.explainTruncation(as: "lockstep: error: ")
    do {
      var command = try parseAsRoot(CommandLineArguments.read())
      try command.run()
      try Console.checkOutput()
    } catch let error as ExitCode {
      exit(withError: error)
    } catch {
      let code = exitCode(for: error)
      if code == .validationFailure {
        let message = fullMessage(for: error)
        Console.error("\(message)\n\(CommandLineArguments.hint(after: message))")
        exit(withError: code)
      }
      if code != .failure || error is CleanExit { exit(withError: error) }
      Console.error("lockstep: error: \(error)\n")
      exit(withError: ExitCode.failure)
    }
  }
}

enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  case text
  case json
}
