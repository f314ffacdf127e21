import ArgumentParser
import Corpus
import Files
import Foundation
import Runs
import Terminal

struct CorpusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "corpus",
    abstract: "Creates, prepares and inspects training texts.",
    subcommands: [Sample.self, Prepare.self, Inspect.self])

  struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Writes an English-like text from a small grammar, with the probability of every line.",
      discussion: """
        The text, sample.txt, has agreement across relative clauses and speech in quotes, so that remembering
        pays. Beside it, sample.logprob holds the natural logarithm of each line's probability: from these the
        lowest perplexity any model can reach on a part of the text is known exactly.

          lockstep corpus sample --lines 1000 --seed 7 --output sample
        """)

    @Option(help: "Lines to write.")
    var lines = 10_000

    @Option(help: "Number that decides what is written.")
    var seed: UInt64 = 1

    @Option(help: "Folder to write to; it is made if need be.", completion: .directory)
    var output: String

    func validate() throws {
      guard lines >= 1 else { throw ValidationError("--lines is \(lines); expected at least 1") }
      guard !output.isEmpty else { throw ValidationError("--output is empty; expected a folder") }
    }

    func run() throws {
      Interruption.catchSignals("lockstep corpus sample")
      let meter = ProgressMeter("writing")
      try SampleText.write(lines: lines, seed: seed, to: output) {
        try endIfAsked("lockstep corpus")
        meter.show($0, of: lines)
      }
      meter.finish()
      Console.output("\(counted(lines, "line")) in \(SampleText.path(in: output))" + "\n")
    }
  }

  struct Prepare: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Turns text into token files that a configuration may name as corpus.prepared.",
      discussion: """
        Give one text to be split by --split, or --train with --validation and --test. A path may be a folder:
        its files, by name, but not hidden ones, those in folders in it and those that editors leave (a.txt~). It
        may also be - (standard input) or a pipe: what it gives is copied to a temporary file beside the output,
        or where TMPDIR says.

          lockstep corpus prepare --tokenizer words --maximum-vocabulary 10000 --output tokens text.txt
          lockstep corpus prepare --tokenizer characters --train a.txt --validation b.txt --output tokens
          zcat text.txt.gz | lockstep corpus prepare - --output tokens
        """)

    @Argument(help: "Texts to be split into three parts, in order.", completion: .file())
    var text: [String] = []

    @Option(parsing: .upToNextOption, help: "Texts to learn from.", completion: .file())
    var train: [String] = []

    @Option(parsing: .upToNextOption, help: "Texts to watch progress on.", completion: .file())
    var validation: [String] = []

    @Option(parsing: .upToNextOption, help: "Texts for the end.", completion: .file())
    var test: [String] = []

    @Option(help: "Parts of the text for training, validation and test.")
    var split = "0.9,0.05,0.05"

    @Option(help: "What a token is: characters, bytes or words.")
    var tokenizer: TokenizerKind = .words

    @Option(help: "Words seen less often become <unk>.")
    var minimumCount = 1

    @Option(help: "Tokens of the vocabulary at most, <unk> and <eos> among them; 0: all.")
    var maximumVocabulary = 0

    @Option(help: "A file with one word a line, or a vocabulary.json, to be the vocabulary.", completion: .file())
    var vocabulary = ""

    @Option(help: "Token files of each part.")
    var shards = 1

    @Option(help: "Folder for the token files.", completion: .directory)
    var output: String

    @Option(help: "text or json.")
    var format: OutputFormat = .text

    func validate() throws {
      guard !output.isEmpty else { throw ValidationError("--output is empty; expected a folder") }
    }

    func run() throws {
      let fractions = try split.split(separator: ",", omittingEmptySubsequences: false).map { part in
        guard let fraction = Double(part.trimmingCharacters(in: .whitespaces)) else {
          throw ValidationError("--split is \(split); expected three numbers, as in 0.9,0.05,0.05")
        }
        return fraction
      }
      let settings = CorpusConfiguration(
        text: PathList(text), split: fractions, train: PathList(train), validation: PathList(validation),
        test: PathList(test), tokenizer: tokenizer, minimumCount: minimumCount,
        maximumVocabulary: maximumVocabulary, vocabulary: vocabulary, shards: shards)
      try OutputCheck.folder(output, madeOf: text + train + validation + test + [vocabulary].filter { !$0.isEmpty })
      Interruption.catchSignals("lockstep corpus prepare")
      let meter = ProgressMeter("preparing")
      let corpus = try CorpusPreparation.prepare(settings, into: output) {
        try endIfAsked("lockstep corpus")
        meter.show($0.done, of: $0.total)
      } warn: {
        meter.finish()
        Console.warn($0)
      }
      meter.finish()
      try printSummary(corpus, format)
    }
  }

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Describes a folder of prepared tokens, and verifies every file.",
      discussion: "  lockstep corpus inspect tokens")

    @Argument(help: "A folder that `lockstep corpus prepare` or a run has made.", completion: .directory)
    var directory: String

    @Option(help: "text or json.")
    var format: OutputFormat = .text

    func run() throws {
      let corpus = try PreparedCorpus(directory: directory)
      for part in CorpusPart.allCases { try corpus.part(part).verify(0..<corpus.manifest.parts[part].tokens) }
      try printSummary(corpus, format)
    }
  }

  private static func printSummary(_ corpus: PreparedCorpus, _ format: OutputFormat) throws {
    let manifest = corpus.manifest
    manifest.warnings.forEach(Console.warn)
    if format == .json { return Console.output(try jsonText(manifest, pretty: true) + "\n") }
    Console.output("tokens       \(corpus.directory)" + "\n")
    Console.output("texts        \(counted(manifest.textCount, "file"))" + "\n")
    Console.output("tokenizer    \(manifest.tokenizer.rawValue), vocabulary \(manifest.vocabulary.size)" + "\n")
    Console.output("fingerprint  \(manifest.fingerprint)" + "\n")
    for name in CorpusPart.allCases {
      let part = manifest.parts[name]
      var line = "\(name.rawValue.padding(toLength: 12, withPad: " ", startingAt: 0)) \(counted(part.tokens, "token"))"
      line += " in \(counted(part.shards.count, "file"))"
      if part.unknownTokens > 0 { line += ", \(part.unknownTokens) of them <unk>" }
      if let nats = part.sourceNats, part.tokens > 0 {
        line += String(format: ", the source's own perplexity %.4f", exp(nats / Double(part.tokens)))
      }
      Console.output(line + "\n")
    }
  }
}

extension TokenizerKind: ExpressibleByArgument {}
