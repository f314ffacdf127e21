import ArgumentParser
import Runs
import Terminal

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows runs side by side: their results, their speed, and the settings that differ.",
    discussion: """
      The best value of a row has a star. Metrics are not compared if the runs
      learned from different texts.

        lockstep compare checkpoints/small checkpoints/large
        lockstep compare checkpoints/*/ --all
        lockstep compare checkpoints/a checkpoints/b --format json | jq .differing
      """)

  @Argument(
    help: "A run's folder (its newest checkpoint), a checkpoint, or curves.h5, which tells no settings.",
    completion: .file(extensions: ["h5"]))
  var runs: [String]

  @Flag(help: "Show also the settings that do not differ.")
  var all = false

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    guard runs.count > 1 else { throw ValidationError("one run alone cannot be compared; expected two or more") }
  }

  func run() throws {
    let comparison = try Comparison(RunRecord.read(runs, needsCard: true))
    switch format {
    case .text: Console.output(comparison.text(allSettings: all, width: Console.terminalSize?.width))
    case .json: Console.output(try jsonText(comparison.report, pretty: true) + "\n")
    }
  }
}
