import ArgumentParser
import Corpus
import Files
import Inference
import Networks
import Runs
import Terminal

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes text with a model, token by token.",
    discussion: """
      The same model, prompt, seed and settings give the same text. A prompt begins a
      line, unless --no-begin says that it stands in the middle of one. Several texts
      are separated by a line before each one; with --format json each is one object
      on a line. <unk>, the word for those a model does not know, is never written.
      Prompts are UTF-8, or for a model of bytes any bytes.

        lockstep generate checkpoints/default --length 60
        lockstep generate tiny.h5 --prompt "ROMEO:" --temperature 0.8 --seed 7
        lockstep generate tiny.h5 --stop $'\\n\\n' --samples 3 --min-p 0.05
        lockstep generate tiny.h5 --prompt "- item" --no-begin
        head -3 titles.txt | lockstep generate words.h5 --prompts - --format json
      """)

  @OptionGroup var model: MixedModelArgument

  @Option(help: "Prompt. Default: empty, the start of a line.")
  var prompt: TextArgument?

  @Option(help: "A file with a prompt on each line, which may be empty; - is standard input.", completion: .file())
  var prompts: String?

  @Flag(inversion: .prefixedNo, help: "Whether the prompt begins a line, or stands in the middle of one.")
  var begin = true

  @Option(help: "Tokens to write at most: characters, bytes or words, as the model has them.")
  var length = 200

  @Option(
    help:
      "Temperature of the draws: 1 uses the model's probabilities, lower values prefer probable tokens, 0 takes the most probable one."
  )
  var temperature = 0.8

  @Option(help: "Draws only from so many most probable tokens; 0: from all.")
  var topK = 0

  @Option(help: "Draws only from the most probable tokens that together have this probability; 1: from all.")
  var topP = 1.0

  @Option(help: "Draws only from tokens at least so many times as probable as the most probable; 0: from all.")
  var minP = 0.0

  @Option(help: "Seed of the random draws.")
  var seed: UInt64 = 1

  @Option(help: "Texts to write of each prompt.")
  var samples = 1

  @Option(help: "A text that ends it and is not shown; may be given several times.")
  var stop: [TextArgument] = []

  @Option(help: "text or json.")
  var format: OutputFormat = .text

  func validate() throws {
    func check(_ name: String, _ value: some Any, _ holds: Bool, _ expected: String) throws {
      if !holds { throw ValidationError("--\(name) is \(value); expected \(expected)") }
    }
    try check("length", length, length >= 0, "0 or more")
    try check("temperature", temperature, temperature >= 0 && temperature.isFinite, "a number of 0 or more")
    try check("top-k", topK, topK >= 0, "0 or more")
    try check("top-p", topP, topP > 0 && topP <= 1, "a number above 0 and up to 1")
    try check("min-p", minP, minP >= 0 && minP <= 1, "a number from 0 to 1")
    try check("samples", samples, samples >= 1, "at least 1")
    try check("stop", "empty", !stop.contains { $0.bytes.isEmpty }, "a text")
    if prompt != nil, prompts != nil { throw ValidationError("expected --prompt or --prompts, found both") }
  }

  func run() throws {
    let model = try model.openForOneStream()
    guard let prompts else { return try write(model, prompt: prompt?.bytes ?? [], source: "the prompt", number: nil) }
    try OutputCheck.standardOutput(madeOf: [prompts])
    let lines = try LineReader(prompts)
    while let line = try lines.next() {
      try write(model, prompt: line, source: "\(lines.name), line \(lines.count)", number: lines.count)
    }
  }

  /// All texts of a prompt; `number` is that of its line, where there are several.
  private func write(_ model: SavedModel, prompt: [UInt8], source: String, number: Int?) throws {
    for sample in 1...samples {
      let settings = SamplingSettings(
        temperature: temperature, topK: topK, topP: topP, minP: minP, seed: seed, stream: sample - 1)
      do {
        try write(model, Prompt(prompt, begin: begin), sample, settings, heading: heading(number, sample))
      } catch let error as CorpusError where number != nil {
        throw CorpusError(source, error.problem, remedy: error.remedy)
      }
    }
  }

  private func write(
    _ model: SavedModel, _ prompt: Prompt, _ sample: Int, _ settings: SamplingSettings, heading: String
  ) throws {
    let clock = ContinuousClock()
    let writer = try model.writer(prompt: prompt, settings)
    var filter = try StopText(stop.map(\.bytes), in: model.tokenizer.vocabulary)
    var text: [UInt8] = []
    func show(_ bytes: [UInt8]) {
      if format == .text { Console.output(bytes) } else { text += bytes }
    }
    if format == .text { Console.output(Array(heading.utf8) + prompt.text) }
    while try writer.readPrompt() {}
    let begun = clock.now
    var tokens = 0
    while tokens < length, !filter.isOver {
      show(filter.add(try writer.next()))
      try Console.checkOutput()
      tokens += 1
    }
    show(filter.finish())
    switch format {
    case .text: Console.output("\n")
    case .json:
      let seconds = (clock.now - begun) / .seconds(1)
      let (begins, written) = (JSONBytes(prompt.text), JSONBytes(text))
      let report = Report(
        prompt: begins.text, promptBytes: begins.hexadecimal, sample: sample, settings: settings, text: written.text,
        textBytes: written.hexadecimal, tokens: tokens, end: filter.isOver ? "stop" : "length", seconds: seconds,
        tokensPerSecond: Double(tokens) / seconds)
      Console.output(try jsonText(report) + "\n")
    }
  }

  /// The line that tells texts apart.
  private func heading(_ number: Int?, _ sample: Int) -> String {
    let parts = [number.map { "prompt \($0)" }, samples > 1 ? "sample \(sample)" : nil].compactMap { $0 }
    return parts.isEmpty ? "" : "--- \(parts.joined(separator: ", "))\n"
  }

  private struct Report: Encodable {
    let prompt: String
    let promptBytes: String?
    let sample: Int
    let settings: SamplingSettings
    let text: String
    let textBytes: String?
    let tokens: Int
    let end: String
    let seconds: Double
    let tokensPerSecond: Double
  }
}
