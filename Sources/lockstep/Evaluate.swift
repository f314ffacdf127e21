import ArgumentParser
import Foundation
import Runs
import Training

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells how well a model predicts a text.",
    discussion: """
      Every token but the first is predicted once. With one lane the model reads the text from its beginning to
      its end; more lanes are faster and begin as many stretches without context.

        lockstep evaluate checkpoints/default text.txt
        lockstep evaluate checkpoints/default/step-00001000.h5 text.txt --format json
      """)

  @Argument(help: "A checkpoint, or a run's folder (its newest checkpoint).")
  var model: String

  @Argument(help: "A text file.")
  var text: String

  @Option(help: "Stretches the text is cut into.")
  var lanes = 1

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    guard lanes >= 1 else { throw ValidationError("--lanes is \(lanes); expected at least 1") }
  }

  func run() throws {
    let model = try SavedModel(model)
    let meter = ProgressMeter("evaluating")
    let (evaluation, unknownTokens) = try model.evaluate(textFile: text, lanes: lanes) { meter.show($0, of: $1) }
    meter.finish()
    let unit = model.tokenizer.vocabulary.kind.unit
    switch format {
    case .text:
      Console.output(
        """
        predictions  \(evaluation.predictions)\(unknownTokens > 0 ? "; \(unknownTokens) tokens are <unk>" : "")
        loss         \(String(format: "%.6f", evaluation.loss)) nats per \(unit)
        bits         \(String(format: "%.6f", evaluation.bitsPerToken)) per \(unit)
        perplexity   \(String(format: "%.4f", evaluation.perplexity)) per \(unit)

        """)
    case .json:
      let report = Report(
        model: model.path, text: text, unit: unit, predictions: evaluation.predictions, unknownTokens: unknownTokens,
        nats: evaluation.nats,
        loss: evaluation.loss, bitsPerToken: evaluation.bitsPerToken, perplexity: evaluation.perplexity)
      Console.output(try jsonText(report, pretty: true) + "\n")
    }
  }

  private struct Report: Encodable {
    let model: String
    let text: String
    let unit: String
    let predictions: Int
    let unknownTokens: Int
    let nats: Double
    let loss: Double
    let bitsPerToken: Double
    let perplexity: Double
  }
}
