import ArgumentParser
import Files
import Foundation
import Inference
import Kernels
import Runs
import Terminal

struct Mix: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Finds how models are best mixed.",
    discussion: """
      Adds the probabilities of models of one vocabulary, each with its weight, and
      writes a small file that is itself a model. The weights are those under which
      a text is most probable, found by expectation maximization. Give a text that
      none of the models has learned from.

        lockstep mix checkpoints/ptb-small words.ngrams --tune valid.txt --output both.yaml
        lockstep mix words.ngrams --cache 200 --tune valid.txt --output cached.yaml
        lockstep evaluate both.yaml test.txt
      """)

  @Argument(
    help: "Models: files, checkpoints or runs' folders.",
    completion: .file(extensions: ["h5", "safetensors", "ngrams", "arpa"]))
  var models: [String]

  @Option(help: "The text to find the weights with; - is standard input.", completion: .file())
  var tune: String

  @Option(help: "Mixes in the newest tokens of a text, so many of them.")
  var cache: Int?

  @Option(help: "Stretches that networks read the text in.")
  var lanes = 1

  @Option(help: "The file to write, .yaml. An existing file is replaced.", completion: .file(extensions: ["yaml"]))
  var output: String

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    guard models.count + (cache == nil ? 0 : 1) > 1 else {
      throw ValidationError("expected two models or more, or one with --cache, found \(counted(models.count, "model"))")
    }
    guard cache ?? 1 > 0 else { throw ValidationError("--cache is \(cache!); expected 1 or more") }
    guard (1...4096).contains(lanes) else { throw ValidationError("--lanes is \(lanes); expected 1 to 4096") }
    guard output.hasSuffix(".yaml") || output.hasSuffix(".yml") else {
      throw ValidationError("--output is '\(output)'; expected a file that ends with .yaml")
    }
  }

  func run() throws {
    ModelArgument.useAllThreads()
    let saved = try models.map { try SavedModel($0) { Console.warn("passed over \($0)") } }
    try OutputCheck.file(output, madeOf: [tune] + saved.map(\.path))
    let start = try Mixture(
      saved.map { Mixture.Component($0, weight: 1) }, cache: cache.map { Mixture.Cache(size: $0, weight: 0.1) })
    let meter = PhaseMeter()
    defer { meter.finish() }
    let text = try InputFile(tune, takesNamedPipes: false)
    let tuned = try SavedModel(start, path: output).tuned(on: text, lanes: lanes) { meter.show($0, $1, of: $2) }
    meter.finish()
    try MixtureFile.write(tuned.mixture, to: output)
    switch format {
    case .text:
      for component in tuned.mixture.components {
        Console.output(String(format: "%.4f  ", component.weight) + component.model.path + "\n")
      }
      if let cache = tuned.mixture.cache {
        Console.output(String(format: "%.4f  ", cache.weight) + "the newest \(counted(cache.size, "token"))\n")
      }
      Console.output(
        "\(output): perplexity \(String(format: "%.4f", tuned.perplexity)) of \(counted(tuned.predictions, "prediction"))\n"
      )
    case .json:
      let report = Report(
        output: output, perplexity: tuned.perplexity, predictions: tuned.predictions,
        models: tuned.mixture.components.map { Report.Model(model: $0.model.path, weight: $0.weight) },
        cache: tuned.mixture.cache.map { Report.Cache(size: $0.size, weight: $0.weight) })
      Console.output(try jsonText(report, pretty: true) + "\n")
    }
  }

  private struct Report: Encodable {
    struct Model: Encodable {
      let model: String
      let weight: Double
    }

    struct Cache: Encodable {
      let size: Int
      let weight: Double
    }

    let output: String
    let perplexity: Double
    let predictions: Int
    let models: [Model]
    let cache: Cache?
  }
}
