import ArgumentParser
import Kernels
import MPIRanks
import ProgramOptions
import Runs
import Terminal
import Training

struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Measures how fast configurations train here, and where the time goes.",
    discussion: """
      Trains on random tokens of each configuration's shape; no text is read and nothing is saved. The peak is what
      matrix products sustain in the same processes, just before and just after.

        mpirun -n 2 lockstepd benchmark configs/ptb-small.yaml configs/ptb-large.yaml
        mpirun -n 2 lockstepd benchmark --shape 2x200,10000,10,35 --shape 2x650,10000,10,35 --format json
        lockstepd benchmark configs/default.yaml --set training.threads=2 --steps 100

      A shape is LAYERSxHIDDEN,VOCABULARY,LANES,STEPS, an LSTM trained by SGD: LANES are those of a rank, where
      training.batchSize of a configuration is dealt to the ranks.
      """)

  @Argument(
    help: "Configurations, YAML files (see configs/README.md).", completion: .file(extensions: ["yaml", "yml"]))
  var configurations: [String] = []

  @Option(
    name: .customLong("shape"), parsing: .singleValue,
    help: ArgumentHelp("A shape in place of a configuration. May be repeated.", valueName: "LxH,V,B,T"))
  var shapes: [Shape] = []

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Sets one key of each, as in training.threads=2. May be repeated.", valueName: "key=value"))
  var settings: [String] = []

  @Option(help: "Steps to time; 0: as many as take about three seconds.")
  var steps = 0

  @Option(
    help: "Words or characters of the configurations' vocabularies; without it, corpus.maximumVocabulary, or 10000.")
  var vocabulary: Int?

  @Option(help: "What is printed: text for people, json for programs.")
  var format: Format = .text

  enum Format: String, CaseIterable, ExpressibleByArgument { case text, json }

  func validate() throws {
    guard !configurations.isEmpty || !shapes.isEmpty else {
      throw ValidationError("nothing to measure; name a configuration or a --shape (see --help)")
    }
    guard (0...1_000_000).contains(steps) else {
      throw ValidationError("--steps is \(steps); expected 0 to 1000000")
    }
    if let vocabulary, !(2...Int(Int32.max)).contains(vocabulary) {
      throw ValidationError("--vocabulary is \(vocabulary); expected 2 to \(Int32.max)")
    }
  }

  func run() throws {
    limitSpinning()
    let status = MPIProgram.run("lockstepd") { group in
      let subjects = try group.together { try self.subjects(ranks: group.count) }
      let benchmark = Benchmark(group: group) { if group.isFirst { Console.error("lockstepd: \($0)\n") } }
      let results = try subjects.map { try benchmark.measure($0, steps: steps) }
      if group.isFirst {
        Console.output(format == .json ? try jsonText(results, pretty: true) + "\n" : BenchmarkTable.text(results))
        try Console.checkOutput()
      }
      return 0
    }
    throw ExitCode(status)
  }

  private func subjects(ranks: Int) throws -> [Benchmark.Subject] {
    try configurations.map { path in
      let configuration = try RunOptions.readConfiguration(path, settings: settings)
      let most = configuration.corpus.maximumVocabulary
      return Benchmark.Subject(
        name: configuration.name, configuration: configuration,
        vocabularySize: vocabulary ?? (most > 0 ? most : 10_000))
    }
      + shapes.map { shape in
        Benchmark.Subject(
          name: shape.text,
          configuration: try ConfigurationReader.read(yaml: nil, settings: shape.settings(ranks: ranks) + settings),
          vocabularySize: shape.vocabulary)
      }
  }
}

/// LAYERSxHIDDEN,VOCABULARY,LANES,STEPS.
struct Shape: ExpressibleByArgument {
  let text: String
  let layers, hidden, vocabulary, lanes, steps: Int

  init?(argument: String) {
    let parts = argument.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    let numbers =
      (parts[0].split(separator: "x", omittingEmptySubsequences: false)
      + parts[1].split(separator: ",", omittingEmptySubsequences: false)).map { Int($0) ?? 0 }
    guard numbers.count == 5, numbers.allSatisfy({ (1...1_000_000).contains($0) }) else { return nil }
    text = argument
    (layers, hidden, vocabulary, lanes, steps) = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
  }

  /// As keys of a configuration. Of the text that one has to name, nothing is read.
  func settings(ranks: Int) -> [String] {
    [
      "corpus.sampleLines=1", "model.embeddingSize=\(hidden)",
      "model.hiddenSizes=\(Array(repeating: hidden, count: layers))", "training.batchSize=\(lanes * ranks)",
      "training.sequenceLength=\(steps)", "optimizer.kind=sgd", "optimizer.learningRate=0.1",
    ]
  }
}
