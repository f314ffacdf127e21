import ArgumentParser
import Corpus
import Files
import NGramModels
import NGrams
import Runs
import Terminal

struct NGram: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ngram",
    abstract: "Makes an n-gram model of texts.",
    discussion: """
      Counts the words that follow each other in a text, line by line, and writes a
      model with smoothed probabilities. The ending of the output says what is
      written:

        .ngrams        Lockstep's own form, which is used at once whatever its size
        .arpa          the text that KenLM and SRILM read; also .arpa.gz, .arpa.bz2
                       and .arpa.xz
        .binary        KenLM's binary form (probing), which its programs map

      Each is a model as any other: evaluate, score, complete and generate use it.
      Modified Kneser-Ney smoothing gives KenLM's numbers. Where a text is too small
      for its discounts to be computed, others are used, and it is said which.

        lockstep ngram text.txt --order 5 --output model.ngrams
        lockstep ngram train-*.txt --order 3 --output model.arpa.gz
        lockstep ngram names.txt --tokenizer characters --order 6 --output names.ngrams
        lockstep ngram text.txt --smoothing witten-bell --output model.ngrams
        lockstep ngram text.txt --order 4 --prune 0 0 1 --output model.ngrams
      """)

  @Argument(help: "Texts; - is standard input.", completion: .file())
  var texts: [String]

  @Option(help: "The longest n-grams, 1 to 10 words.")
  var order = 3

  @Option(
    help: ArgumentHelp(
      "One of \(SmoothingKind.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "kind"))
  var smoothing = SmoothingKind.modifiedKneserNey

  @Flag(
    inversion: .prefixedNo,
    help: "Whether what is kept for unseen words is given to seen ones too, where a smoothing has both forms.")
  var interpolate = true

  @Option(help: "What add-delta adds to each count.")
  var delta = 1.0

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Leaves out n-grams that stand in the text so often or less: of order 1 (0), of 2 and so on; the last number holds for all higher orders.",
      valueName: "count"))
  var prune: [Int] = []

  @Option(
    help: ArgumentHelp(
      "Leaves out n-grams without which perplexity would change by less than this share, as 1e-8; 0: none.",
      valueName: "share"))
  var pruneEntropy = 0.0

  @Option(help: "words, characters or bytes.")
  var tokenizer: TokenizerKind = .words

  @Option(help: "Words seen less often are <unk>.")
  var minimumCount = 1

  @Option(help: "Size of the vocabulary at most, the most frequent words; 0: no limit.")
  var maximumVocabulary = 0

  @Option(
    help: ArgumentHelp("A list of the words, as a file with one on each line; others are <unk>.", valueName: "file"),
    completion: .file())
  var vocabulary: String?

  @Option(
    help: "The file to write, .ngrams, .arpa, .arpa.gz, .arpa.bz2, .arpa.xz or .binary. An existing file is replaced.",
    completion: .file(extensions: ["ngrams", "arpa", "gz", "bz2", "xz", "binary"]))
  var output: String

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    guard !texts.isEmpty else { throw ValidationError("expected a text, found none") }
    guard NGramModel.orders.contains(order) else {
      throw ValidationError(
        "--order is \(order); expected \(NGramModel.orders.lowerBound) to \(NGramModel.orders.upperBound)")
    }
    guard delta > 0, delta.isFinite else { throw ValidationError("--delta is \(delta); expected a number above 0") }
    guard prune.count <= order, prune.first ?? 0 == 0, zip(prune, prune.dropFirst()).allSatisfy({ $0 <= $1 }) else {
      throw ValidationError(
        "--prune is \(prune.map(String.init).joined(separator: " ")); expected 0 for words, then as many numbers as there are "
          + "higher orders or fewer, none below the one before")
    }
    guard pruneEntropy >= 0, pruneEntropy < 1 else {
      throw ValidationError("--prune-entropy is \(pruneEntropy); expected 0 or more and less than 1")
    }
    if pruneEntropy > 0, smoothing == .stupidBackoff {
      throw ValidationError("--prune-entropy goes with probabilities; stupid-backoff has scores")
    }
    guard minimumCount >= 1 else { throw ValidationError("--minimum-count is \(minimumCount); expected at least 1") }
    guard maximumVocabulary >= 0 else {
      throw ValidationError("--maximum-vocabulary is \(maximumVocabulary); expected 0 or more")
    }
    guard NGramOutput(output) != nil else {
      throw ValidationError("--output is '\(output)'; expected a file that ends with one of \(NGramOutput.endings)")
    }
  }

  func run() throws {
    Interruption.catchSignals("lockstep ngram")
    try OutputCheck.file(output, madeOf: texts)
    var corpus = CorpusConfiguration()
    corpus.train = PathList(texts)
    corpus.tokenizer = tokenizer
    corpus.minimumCount = minimumCount
    corpus.maximumVocabulary = maximumVocabulary
    corpus.vocabulary = vocabulary ?? ""
    let meter = PhaseMeter()
    defer { meter.finish() }
    var settings = NGramSettings()
    (settings.order, settings.smoothing, settings.delta) = (order, smoothing, delta)
    (settings.interpolates, settings.prune, settings.pruneEntropy) = (interpolate, prune, pruneEntropy)
    let model = try CorpusPreparation.withTokens(corpus, beside: output) {
      try endIfAsked("lockstep ngram")
      meter.show($0.phase.rawValue, $0.done, of: $0.total)
    } warn: {
      Console.warn($0)
    } body: { corpus in
      try NGramTraining.model(of: corpus, settings) { phase, done, total in
        try endIfAsked("lockstep ngram")
        meter.show(phase.rawValue, done, of: total)
      }
    }
    for warning in model.metadata.warnings { Console.warn(warning) }
    try NGramOutput(output)!.write(model, to: output) {
      try endIfAsked("lockstep ngram")
      meter.show("writing", $0, of: $1)
    }
    meter.finish()
    switch format {
    case .text:
      Console.output(
        """
        \(output): \(model.metadata.smoothing), order \(order), \(model.vocabulary.count) \
        \(tokenizer.rawValue), \(try FileSystem.status(output).size) bytes

        """)
      for (place, count) in model.counts.enumerated() { Console.output("  \(place + 1)-grams  \(count)\n") }
    case .json:
      Console.output(
        try jsonText(
          Report(
            output: output, bytes: try FileSystem.status(output).size, smoothing: model.metadata.smoothing,
            order: order, vocabularySize: model.vocabulary.count, ngrams: model.counts,
            discounts: model.metadata.discounts, sentences: model.metadata.sentences, tokens: model.metadata.tokens,
            warnings: model.metadata.warnings), pretty: true) + "\n")
    }
  }

  private struct Report: Encodable {
    let output: String
    let bytes: Int
    let smoothing: String
    let order: Int
    let vocabularySize: Int
    let ngrams: [Int]
    let discounts: [[Double]]
    let sentences: Int
    let tokens: Int
    let warnings: [String]
  }
}

extension SmoothingKind: ExpressibleByArgument {}

/// A form that n-gram models are written in, by the ending of a file's name.
enum NGramOutput {
  case own, arpa, kenLM

  static let endings = ".ngrams, .arpa, .arpa.gz, .arpa.bz2, .arpa.xz, .binary"

  init?(_ path: String) {
    if path.hasSuffix(".ngrams") {
      self = .own
    } else if path.hasSuffix(".binary") {
      self = .kenLM
    } else if ["", ".gz", ".bz2", ".xz"].contains(where: { path.hasSuffix(".arpa\($0)") }) {
      self = .arpa
    } else {
      return nil
    }
  }

  func write(_ model: NGramModel, to path: String, progress: (Int, Int) throws -> Void = { _, _ in }) throws {
    switch self {
    case .own: try model.write(to: path)
    case .arpa: try model.writeARPA(to: path, progress: progress)
    case .kenLM: try model.writeKenLM(to: path, progress: progress)
    }
  }
}
