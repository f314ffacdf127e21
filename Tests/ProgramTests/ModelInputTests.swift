import Foundation
import TestSupport
import Testing

/// What a model is given on the command line and in files: texts, values and paths as they are.
@Suite final class ModelInputTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Trains a model for a moment and exports it; returns the file's name.
  private func train(_ tokenizer: String) throws -> String {
    try folder.write(
      "\(tokenizer).yaml",
      """
      name: \(tokenizer)
      corpus: {sampleLines: 300, tokenizer: \(tokenizer), cache: cache}
      model: {embeddingSize: 8, hiddenSizes: [12]}
      training: {batchSize: 4, sequenceLength: 12, maximumSteps: 30}
      output: {directory: checkpoints}
      generation: {temperatures: [], prompts: [the cats]}
      """.utf8)
    try succeed("train", "\(tokenizer).yaml")
    try succeed("export", "checkpoints/\(tokenizer)", "--output", "\(tokenizer).h5")
    return "\(tokenizer).h5"
  }

  private func run(_ arguments: [String], input: String? = nil) throws -> Outcome {
    try Programs.run(
      "\(Programs.folder)/lockstep", arguments, in: folder.path, environment: ["OMP_NUM_THREADS": "1"], input: input)
  }

  @discardableResult
  private func succeed(_ arguments: String..., input: String? = nil, at place: SourceLocation = #_sourceLocation)
    throws -> Outcome
  {
    let outcome = try run(arguments, input: input)
    #expect(outcome.status == 0, "\(outcome.error)", sourceLocation: place)
    return outcome
  }

  private func refuse(
    _ arguments: String..., status: Int32, saying parts: String..., at place: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try run(arguments)
    #expect(outcome.status == status && outcome.output.isEmpty, "\(outcome)", sourceLocation: place)
    for part in parts {
      #expect(outcome.error.contains(part), "\"\(part)\" in: \(outcome.error)", sourceLocation: place)
    }
  }

  /// What a shell makes of a line in which `lockstep` is the program.
  private func shell(_ line: String) throws -> Outcome {
    try Programs.run(
      "bash", ["-c", "set -o pipefail; lockstep() { '\(Programs.folder)/lockstep' \"$@\"; }; \(line)"], in: folder.path,
      environment: ["OMP_NUM_THREADS": "1"])
  }

  private func object(_ text: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func number(_ value: Any?) throws -> Double { try #require(value as? Double) }

  // MARK: - Where a text begins

  @Test(arguments: ["words", "characters", "bytes"])
  func completingAndScoringSayTheSame(tokenizer: String) throws {
    let model = try train(tokenizer)
    for switches in [[], ["--no-begin"]] {
      let format = ["--format", "json"] + switches
      let complete = try run(["complete", model, "the cats", "--count", "3"] + format)
      let next = try #require(object(complete.output)["next"] as? [[String: Any]])
      for token in next where token["token"] as? String != "\n" {
        let line = "the cats" + (token["token"] as? String ?? "?")
        let score = try run(["score", model, "-", "--per-token", "--no-end"] + format, input: line)
        let tokens = try #require(object(score.output)["tokens"] as? [[String: Any]])
        let logarithm = try number(tokens.last?["logProbability"])
        #expect(abs(logarithm - log(try number(token["probability"]))) < 1e-4, "\(switches) \(line)")
      }
    }
    // Prompts of files, and the samples of a run, are read as those of the command line are.
    let settings = ["--length", "8", "--temperature", "0"]
    let written = try run(["generate", model, "--prompt", "the cats"] + settings).output
    let file = try run(["generate", model, "--prompts", "-"] + settings, input: "the cats\r\n")
    #expect(file.output == "--- prompt 1\n\(written)")
    let complete = try succeed("complete", model, "the cats", "--length", "8", "--count", "1")
    #expect(complete.output.hasSuffix("\n\n\(written)"))
    let sample = try run(
      ["train", "\(tokenizer).yaml", "--log-format", "json"]
        + set("name=sample", "generation.temperatures=[0]", "generation.length=8"))
    let text = try #require(sample.events("sample").last?["text"] as? String)
    let same = try run(["generate", "checkpoints/sample", "--prompt", "the cats"] + settings)
    #expect(same.output == "the cats\(text)\n")

    let inALine = try succeed("generate", model, "--prompt", "the cats", "--length", "60", "--no-begin")
    #expect(inALine.output.hasPrefix("the cats"))
    try refuse("generate", model, "--no-begin", status: 1, saying: "does not begin a line", "give one")
    // A line is its parts.
    func score(_ switches: String...) throws -> Double {
      let score = try run(["score", model, "-", "--format", "json"] + switches, input: "the cats run .\n")
      return try number(object(score.output)["logProbability"])
    }
    #expect(try score() < score("--no-end") && score("--no-end") < score("--no-begin", "--no-end"))
    #expect(try score() < score("--no-begin"))
  }

  // MARK: - Lines

  @Test func linesEndAtLFAndCRLF() throws {
    let model = try train("characters")
    let unix = try succeed("score", model, "-", input: "the cats\n\nthe dogs\n")
    #expect(try succeed("score", model, "-", input: "the cats\r\n\r\nthe dogs\r\n").output == unix.output)
    #expect(!unix.output.contains("inf"))
    let prompts = try succeed("generate", model, "--prompts", "-", "--length", "5", input: "the cats\n\nthe dogs")
    let windows = try succeed(
      "generate", model, "--prompts", "-", "--length", "5", input: "the cats\r\n\r\nthe dogs\r\n")
    #expect(windows.output == prompts.output && prompts.output.contains("--- prompt 3\nthe dogs"))
  }

  @Test func whatMakesALineImpossibleIsTold() throws {
    let model = try train("characters")
    let text = try succeed("score", model, "-", input: "the cats\nthé\na\rb\n\u{4E2D}\n")
    #expect(text.lines.dropFirst() == ["-inf\tthé", "-inf\ta\rb", "-inf\t\u{4E2D}"])
    for part in [
      #"standard input, line 2: impossible, since character 3 is "é" (U+00E9)"#,
      #"line 3: impossible, since character 2 is "\r" (U+000D)"#, "line 4", "character 1", "(U+4E2D)",
    ] {
      #expect(text.error.contains(part), "\(text.error)")
    }
    let json = try succeed("score", model, "-", "--format", "json", input: "the\nthé\n")
    let reports = try json.lines.map(object)
    #expect(reports[0]["impossible"] == nil && json.error.isEmpty)
    let impossible = try #require(reports[1]["impossible"] as? [String: Any])
    #expect(impossible["character"] as? String == "é" && impossible["codePoint"] as? String == "U+00E9")
    #expect(impossible["position"] as? Int == 3)
    let many = try succeed("score", model, "-", input: String(repeating: "é\n", count: 50))
    #expect(many.error.split(separator: "\n").count == 21 && many.error.contains("50 lines are impossible"))
  }

  // MARK: - Bytes

  @Test func bytesAreReadAndWrittenAsTheyAre() throws {
    let model = try train("bytes")
    func bytes(_ line: String) throws -> [String] {
      let outcome = try shell("\(line) | od -An -v -tx1 | tr -d '\\n'")
      #expect(outcome.status == 0, "\(outcome.error)")
      return outcome.output.split(separator: " ").map(String.init)
    }
    let prompt = #"$'\xff\xc3a\xf4\x8f\xba\x80'"#
    let expected = ["ff", "c3", "61", "f4", "8f", "ba", "80"]
    let option = try bytes("lockstep generate \(model) --prompt \(prompt) --length 5 --temperature 0")
    #expect(option.starts(with: expected))
    #expect(try bytes("lockstep generate \(model) --prompt=\(prompt) --length 5 --temperature 0") == option)
    #expect(try bytes("lockstep complete \(model) \(prompt) --count 1 --length 5 | tail -n +3") == option)
    let file = try bytes(
      "printf '\\xff\\xc3a\\xf4\\x8f\\xba\\x80\\n' | lockstep generate \(model) --prompts - --length 5 --temperature 0 "
        + "| tail -n +2")
    #expect(file == option)

    let complete = try shell("lockstep complete \(model) \(prompt) --count 0 --format json")
    let report = try object(complete.output)
    #expect(report["promptBytes"] as? String == expected.joined())
    #expect((report["prompt"] as? String ?? "").contains("\u{FFFD}"))
    let next = try #require(report["next"] as? [[String: Any]])
    for token in next {
      let id = try #require(token["id"] as? Int)
      #expect(token["tokenBytes"] as? String == (id < 128 ? nil : String(id, radix: 16)))
    }
    let generated = try shell("lockstep generate \(model) --prompt \(prompt) --length 3 --format json")
    #expect(try object(generated.output)["promptBytes"] as? String == expected.joined())
    let scored = try shell("printf '\\xff\\n' | lockstep score \(model) - --format json --per-token")
    #expect(try object(scored.output)["textBytes"] as? String == "ff")
    let valid = try object(succeed("generate", model, "--prompt", "ü", "--length", "0", "--format", "json").output)
    #expect(valid["prompt"] as? String == "ü" && valid["promptBytes"] == nil)
  }

  @Test(arguments: ["words", "characters"])
  func textsAreUTF8(tokenizer: String) throws {
    let model = try train(tokenizer)
    for command in ["generate \(model) --prompt $'a\\xff'", "complete \(model) $'a\\xff'"] {
      let outcome = try shell("lockstep \(command)")
      #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
      #expect(outcome.error.contains("the prompt, line 1, byte 1: expected UTF-8, found byte 0xFF"), "\(outcome.error)")
    }
    let file = try shell("printf 'a\\n\\xfe\\n' | lockstep score \(model) -")
    #expect(file.status == 1 && file.error.contains("standard input, line 2: expected UTF-8"), "\(file.error)")
    let ask = try shell("lockstep ask generate --prompt $'\\xff'")
    #expect(ask.status == 64 && ask.error.contains("--prompt is not UTF-8"), "\(ask.error)")
  }

  // MARK: - Values that begin with "-"

  @Test func valuesMayBeginWithADash() throws {
    let model = try train("bytes")
    for text in ["- a", "-", "-the", "- the", "--", "---", "-1", "--a b", "--length", "-h", "-=", "- a\nb"] {
      // Those that have the form of an option are given as a part of it.
      let option = ["--", "--length", "-h"].contains(text) ? ["--prompt=\(text)"] : ["--prompt", text]
      let outcome = try run(["generate", model, "--length", "3"] + option)
      #expect(outcome.status == 0 && outcome.output.hasPrefix(text), "\(text): \(outcome)")
      let complete = try run(["complete", model, "--length", "3", "--", text])
      #expect(complete.status == 0 && complete.output.contains("\n\n\(text)"), "\(text): \(complete)")
    }
    #expect(try succeed("generate", model, "--stop", "- x", "--stop", "-yes", "--length", "3").error.isEmpty)
  }

  /// A mistake never ends with status 0, and says what to write.
  @Test func whatIsNoValueIsRefused() throws {
    for text in ["- the", "-the", "-1", "---", "-help me"] {
      for command in [["complete", "model.h5"], ["score", "model.h5"], ["job", "show"], ["train"]] {
        let outcome = try run(command + [text])
        #expect(outcome.status == 64 && outcome.output.isEmpty, "\(command) \(text): \(outcome)")
        #expect(outcome.error.contains("'\(text)' begins with '-' and is no option; put -- before it"), "\(outcome)")
      }
      let daemon = try Programs.run("\(Programs.folder)/lockstepd", ["run", text], in: folder.path)
      #expect(daemon.status == 64 && daemon.error.contains("put -- before it"), "\(daemon)")
    }
    for (option, value, expected) in [
      ("--temperature", "-1", "--temperature is -1.0; expected a number of 0 or more"),
      ("--length", "-3", "--length is -3; expected 0 or more"), ("--top-k", "-1", "--top-k is -1; expected 0 or more"),
      ("--top-p", "-0.5", "--top-p is -0.5; expected a number above 0"), ("--seed", "-1", "'-1' is invalid"),
      ("--min-p", "-.5", "--min-p is -0.5"),
    ] {
      try refuse("generate", "model.h5", option, value, status: 64, saying: expected)
    }
    try refuse("ask", "generate", "--temperature", "-1", status: 64, saying: "temperature: expected a number from 0.0")
    try refuse("job", "watch", "--interval", "-1", status: 64, saying: "--interval is -1.0")
    try refuse("corpus", "sample", "--lines", "-5", "--output", "x", status: 64, saying: "--lines is -5")
    try refuse("launch", "x.yaml", "-n", "-2", status: 64, saying: "-2")
    try refuse(
      "generate", "model.h5", "--prompt", "--stop", status: 64, saying: "Missing value", "given as in --name=-value")
    try refuse("score", "model.h5", "--rank", "- the", status: 64, saying: "- the")
    for help in [["--help"], ["generate", "-h"], ["generate", "-help"], ["help", "score"]] {
      let outcome = try run(help)
      #expect(outcome.status == 0 && outcome.output.contains("USAGE: lockstep"), "\(help): \(outcome)")
    }
  }

  // MARK: - Output onto input

  @Test func outputIsNeverInput() throws {
    let model = try train("words")
    let text = String(repeating: "the cats run .\n", count: 20)
    try folder.write("text.txt", text)
    let files = FileManager.default
    let checkpoint = "checkpoints/words/step-00000030.h5"
    try files.linkItem(atPath: folder.file("text.txt"), toPath: folder.file("hard.txt"))
    try files.linkItem(atPath: folder.file(checkpoint), toPath: folder.file("hard.h5"))
    try files.linkItem(atPath: folder.file("checkpoints/words/curves.h5"), toPath: folder.file("curves.svg"))
    try files.createSymbolicLink(atPath: folder.file("soft.txt"), withDestinationPath: "text.txt")
    try files.createSymbolicLink(atPath: folder.file("soft.h5"), withDestinationPath: checkpoint)
    try succeed("export", model, "--output", "a.safetensors")
    try files.linkItem(atPath: folder.file("a.safetensors"), toPath: folder.file("a.h5"))
    try succeed("corpus", "prepare", "--output", "tokens", "text.txt")
    try folder.write("tokens/own.txt", text)
    func state() throws -> [String: Data?] {
      let paths = try files.subpathsOfDirectory(atPath: folder.path)
      return Dictionary(uniqueKeysWithValues: paths.map { ($0, files.contents(atPath: folder.file($0))) })
    }
    let before = try state()
    let own = "it is what is read"
    for (arguments, reason) in [
      (["export", checkpoint, "--output", checkpoint], own),
      (["export", checkpoint, "--output", "hard.h5"], own),
      (["export", "checkpoints/words", "--output", "soft.h5"], own),
      (["export", model, "--output", "./" + model], own),
      (["export", model, "--output", checkpoint], "it is a checkpoint"),
      (["export", model, "--output", "hard.h5"], "it is a checkpoint"),
      (["export", model, "--output", "checkpoints/words/step-99.h5"], "a run, whose folder this is"),
      (["export", model, "--output", "checkpoints/words/curves.h5"], "it has the curves of a run"),
      (["import", "a.safetensors", "--output", "a.h5"], own),
      (["evaluate", model, "text.txt", "--per-token", "text.txt"], own),
      (["evaluate", model, "text.txt", "--per-token", "hard.txt"], own),
      (["evaluate", model, "soft.txt", "--per-token", "text.txt"], own),
      (["evaluate", model, "text.txt", "--per-token", model], own),
      (["evaluate", model, "text.txt", "--per-token", checkpoint], "it is a checkpoint"),
      (["plot", "checkpoints/words/curves.h5", "--output", "curves.svg"], own),
      (["plot", "checkpoints/words", "--output", "curves.svg"], "it has the curves of a run"),
      (["corpus", "prepare", "--output", "tokens", "tokens/own.txt"], "tokens/own.txt, an input, is inside it"),
      (["corpus", "prepare", "--output", "tokens", "tokens"], own),
      (["corpus", "prepare", "--output", "tokens", "--vocabulary", "tokens/own.txt", "text.txt"], "is inside it"),
    ] {
      let outcome = try run(arguments)
      #expect(outcome.status == 1 && outcome.error.contains("cannot write to"), "\(arguments): \(outcome)")
      #expect(outcome.error.contains(reason) && outcome.error.contains("name another output"), "\(outcome.error)")
    }
    for line in [
      "lockstep score \(model) text.txt >> text.txt", "lockstep score \(model) - < text.txt >> hard.txt",
      "lockstep generate \(model) --prompts text.txt >> text.txt",
      "lockstep evaluate \(model) text.txt --per-token - >> text.txt",
    ] {
      let outcome = try shell(line)
      #expect(outcome.status == 1 && outcome.error.contains("cannot write to standard output: \(own)"), "\(outcome)")
    }
    #expect(try state() == before)
    // What is none of that is replaced as before.
    for _ in 1...2 {
      try succeed("export", "checkpoints/words", "--output", "step-00000030.h5")
      try succeed("corpus", "prepare", "--output", "tokens", "text.txt")
    }
    try succeed("generate", "step-00000030.h5", "--length", "3")
  }

  // MARK: - Unknown words

  @Test func unknownWordsAreToldApart() throws {
    let model = try train("words")
    try folder.write("text.txt", "the zebu cats run .\nthe cats okapi run zebu .\n")
    let json = try object(
      succeed("evaluate", model, "text.txt", "--per-token", "losses.tsv", "--format", "json").output)
    let rows = try String(contentsOfFile: folder.file("losses.tsv"), encoding: .utf8).split(separator: "\n")
      .dropFirst().map { $0.split(separator: "\t") }
    let known = try rows.filter { $0[2] != "\"<unk>\"" }.map { try #require(Double($0[1])) }
    #expect(rows.count == 12 && known.count == 9)
    let perplexity = exp(known.reduce(0, +) / Double(known.count))
    #expect(abs(try number(json["perplexityWithoutUnknown"]) - perplexity) < 1e-3 * perplexity)
    #expect(abs(try number(json["lossWithoutUnknown"]) - log(perplexity)) < 1e-3)
    #expect(json["unknownPredictions"] as? Int == 3 && json["unknownTokens"] as? Int == 3)
    #expect(try number(json["perplexity"]) != number(json["perplexityWithoutUnknown"]))
    for lanes in ["1", "3"] {
      let text = try succeed("evaluate", model, "text.txt", "--lanes", lanes).output
      #expect(text.contains(" is the perplexity without <unk>, which is 3 of the predictions\n"), "\(text)")
    }
    try folder.write("known.txt", "the cats run .\nthe cats run .\n")
    let all = try succeed("evaluate", model, "known.txt").output
    #expect(!all.contains("<unk>"), "\(all)")
    try folder.write("first.txt", "zebu the cats run .\n")
    let first = try object(succeed("evaluate", model, "first.txt", "--format", "json").output)
    #expect(first["unknownPredictions"] as? Int == 0 && first["unknownTokens"] as? Int == 1)
    #expect(first["perplexity"] as? Double == first["perplexityWithoutUnknown"] as? Double)

    let line = try succeed("generate", model, "--length", "400", "--stop", "\n")
    #expect(try succeed("generate", model, "--length", "400", "--stop", "<eos>").output == line.output)
    #expect(line.output.split(separator: "\n").count <= 1)
    try refuse("generate", model, "--stop", "<unk>", status: 1, saying: "the stop text", "found <unk>", "never written")
  }
}
