import ArgumentParser
import Corpus
import Files
import Foundation
import Inference
import Runs
import Terminal

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Evaluates a model on a text.",
    discussion: """
      Every token but the first, which is only read, is predicted once: the text is
      one piece, in which a line's end is a token like others (`lockstep score` takes
      each line by itself). With one lane the model reads the text from its beginning
      to its end; more lanes are faster and begin as many stretches without context.
      The text may have any length; it is read several times, so that standard input
      (-) or a pipe is first copied to a temporary file, in /var/tmp or where TMPDIR
      says. If a text has words that the model does not know, the perplexity is
      printed with and without the predictions of <unk>, as KenLM's query does.

      An n-gram model reads each line by itself and predicts all of it, with the
      line's end; it is told how many predictions n-grams of each order made.

        lockstep evaluate checkpoints/default text.txt
        lockstep evaluate tiny.h5 text.txt --lanes 16 --format json
        lockstep evaluate tiny.h5 text.txt --per-token losses.tsv
      """)

  @OptionGroup var model: MixedModelArgument

  @Argument(help: "A text file; - is standard input.", completion: .file())
  var text: String

  @Option(help: "Stretches the text is cut into.")
  var lanes = 1

  @Option(
    help: ArgumentHelp(
      "Writes place, loss in nats and text of every predicted token to a file, or to standard output (-).",
      valueName: "file"), completion: .file())
  var perToken: String?

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    guard (1...4096).contains(lanes) else { throw ValidationError("--lanes is \(lanes); expected 1 to 4096") }
    if perToken != nil, lanes > 1 {
      throw ValidationError("--per-token goes with one lane, which reads the text in order; found --lanes \(lanes)")
    }
  }

  func run() throws {
    let model = try model.openToCompute()
    switch perToken {
    case nil: break
    case "-": try OutputCheck.standardOutput(madeOf: [self.text])
    case let path?: try OutputCheck.file(path, madeOf: [self.text, model.path])
    }
    let text = try InputFile(self.text, takesNamedPipes: false)
    let evaluation = try evaluate(model, text)
    if Vocabulary.isMostlyUnknown(evaluation.unknownTokens, of: evaluation.evaluation.predictions + 1) {
      Console.warn(
        "\(evaluation.unknownTokens) of the tokens of \(text.name) are <unk>, more than a third: the model does not know "
          + "the words of this text, and its perplexity says little")
    }
    let summary = try summary(model, evaluation)
    // What is written to standard output is one thing.
    if perToken == "-" { Console.error(summary) } else { Console.output(summary) }
  }

  private func evaluate(_ model: SavedModel, _ text: InputFile) throws -> TextEvaluation {
    func evaluate(_ write: ((String) throws -> Void)?) throws -> TextEvaluation {
      let meter = PhaseMeter()
      defer { meter.finish() }
      let show: (String, Int, Int) -> Void = { meter.show($0, $1, of: $2) }
      guard let write else { return try model.evaluate(text, lanes: lanes, progress: show) }
      let vocabulary = model.tokenizer.vocabulary
      let hasOrders = model.hasOrders
      try write(hasOrders ? "place\tnats\torder\ttoken\n" : "place\tnats\ttoken\n")
      return try model.evaluate(text, lanes: lanes, progress: show) {
        let order = $0.order.map { "\($0)\t" } ?? ""
        try write(
          String(format: "%d\t%.6f\t", $0.place, $0.loss) + order + quoted(vocabulary.bytes(of: $0.token)) + "\n")
      }
    }
    switch perToken {
    case nil: return try evaluate(nil)
    case "-": return try evaluate { Console.output($0) }
    case let path?:
      var evaluation: TextEvaluation?
      try OutputFile.replace(path) { file in evaluation = try evaluate { try file.write($0) } }
      return evaluation!
    }
  }

  private func summary(_ model: SavedModel, _ result: TextEvaluation) throws -> String {
    let unit = model.tokenizer.vocabulary.kind.unit
    let evaluation = result.evaluation
    let unknown = evaluation.predictions - result.withoutUnknown.predictions
    guard format == .text else {
      let report = Report(
        model: model.path, text: text, unit: unit, predictions: evaluation.predictions,
        unknownTokens: result.unknownTokens, unknownPredictions: unknown, characters: result.characters,
        nats: evaluation.nats, loss: evaluation.loss, bitsPerToken: evaluation.bitsPerToken,
        bitsPerCharacter: result.bitsPerCharacter, perplexity: evaluation.perplexity,
        lossWithoutUnknown: result.withoutUnknown.loss,
        perplexityWithoutUnknown: result.withoutUnknown.perplexity,
        predictionsByOrder: result.orders.isEmpty ? nil : result.orders)
      return try jsonText(report, pretty: true) + "\n"
    }
    let unknownCount = "\(counted(result.unknownTokens, "token")) \(result.unknownTokens == 1 ? "is" : "are") <unk>"
    let unknownTokens = result.unknownTokens > 0 ? "; \(unknownCount)" : ""
    let known = """
      known        \(String(format: "%.4f", result.withoutUnknown.perplexity)) is the perplexity without <unk>, which is \
      \(unknown) of the predictions

      """
    let perCharacter =
      model.tokenizer.vocabulary.kind == .characters
      ? "" : String(format: ", %.6f per character", result.bitsPerCharacter)
    return """
      predictions  \(evaluation.predictions)\(unknownTokens)
      loss         \(String(format: "%.6f", evaluation.loss)) nats per \(unit)
      bits         \(String(format: "%.6f", evaluation.bitsPerToken)) per \(unit)\(perCharacter)
      perplexity   \(String(format: "%.4f", evaluation.perplexity)) per \(unit)

      """ + (unknown > 0 ? known : "") + orders(result)
  }

  /// By which n-grams of an n-gram model the predictions were made.
  private func orders(_ result: TextEvaluation) -> String {
    guard !result.orders.isEmpty else { return "" }
    let shares = result.orders.enumerated().map { place, count in
      "\(place + 1): \(String(format: "%.1f%%", 100 * Double(count) / Double(result.evaluation.predictions)))"
    }
    return "orders       \(shares.joined(separator: ", ")) of the predictions by n-grams of that order\n"
  }

  private struct Report: Encodable {
    let model: String
    let text: String
    let unit: String
    let predictions: Int
    let unknownTokens: Int
    let unknownPredictions: Int
    let characters: Int
    let nats: Double
    let loss: Double
    let bitsPerToken: Double
    let bitsPerCharacter: Double
    let perplexity: Double
    let lossWithoutUnknown: Double
    let perplexityWithoutUnknown: Double
    let predictionsByOrder: [Int]?
  }
}
