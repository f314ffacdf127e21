import Foundation
import TestSupport
import Testing

/// What `lockstep` does with a trained model.
@Suite final class ModelCommandTests {
  private let folder: TemporaryFolder

  /// A model of characters, trained for a moment.
  init() throws {
    folder = try TemporaryFolder()
    try folder.write(
      "characters.yaml",
      """
      name: characters
      corpus: {sampleLines: 400, tokenizer: characters, cache: cache}
      model: {embeddingSize: 12, hiddenSizes: [16, 16]}
      training: {batchSize: 8, sequenceLength: 20, maximumSteps: 60}
      output: {directory: checkpoints}
      generation: {temperatures: []}
      """.utf8)
    try succeed("train", "characters.yaml")
    try succeed("export", "checkpoints/characters", "--output", "model.h5")
  }

  @discardableResult
  private func succeed(_ arguments: String..., input: String? = nil, at place: SourceLocation = #_sourceLocation)
    throws -> Outcome
  {
    let outcome = try Programs.run(
      "\(Programs.folder)/lockstep", arguments, in: folder.path, environment: ["OMP_NUM_THREADS": "1"], input: input)
    #expect(outcome.status == 0, "\(outcome.error)", sourceLocation: place)
    return outcome
  }

  private func refuse(_ arguments: String..., saying parts: String..., at place: SourceLocation = #_sourceLocation)
    throws
  {
    let outcome = try Programs.run("\(Programs.folder)/lockstep", arguments, in: folder.path, seconds: 60)
    #expect(outcome.status == 1 || outcome.status == 64, "\(outcome.status)", sourceLocation: place)
    for part in parts { #expect(outcome.error.contains(part), "\(outcome.error)", sourceLocation: place) }
  }

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  // MARK: - Writing

  @Test func everyFormSaysTheSame() throws {
    try succeed("export", "checkpoints/characters", "--output", "model.safetensors")
    let texts = try ["checkpoints/characters", "model.h5", "model.safetensors"].map {
      try succeed("generate", $0, "--length", "300", "--seed", "5", "--prompt", "the ").output
    }
    #expect(Set(texts).count == 1 && texts[0].hasPrefix("the ") && texts[0].unicodeScalars.count == 305)
    #expect(
      try succeed("generate", "model.h5", "--length", "300", "--seed", "6", "--prompt", "the ").output != texts[0])
  }

  @Test func temperatureZeroAndTopOneAreTheMostProbable() throws {
    let zero = try succeed("generate", "model.h5", "--length", "40", "--prompt", "the c", "--temperature", "0").output
    for settings in [["--top-k", "1"], ["--min-p", "1"], ["--top-p", "0.0001"], ["--temperature", "0.0001"]] {
      let other = try Programs.run(
        "\(Programs.folder)/lockstep", ["generate", "model.h5", "--length", "40", "--prompt", "the c"] + settings,
        in: folder.path)
      #expect(other.output == zero, "\(settings)")
    }
    let complete = try succeed("complete", "model.h5", "the c", "--length", "40", "--format", "json")
    #expect(try "the c" + (object(complete.output)["continuation"] as? String ?? "") + "\n" == zero)
  }

  @Test func probabilitiesOfAllTokensSumToOne() throws {
    for prompt in ["", "t", "the cats "] {
      let complete = try succeed("complete", "model.h5", prompt, "--count", "0", "--format", "json")
      let next = try #require(object(complete.output)["next"] as? [[String: Any]])
      let probabilities = next.compactMap { $0["probability"] as? Double }
      #expect(abs(probabilities.reduce(0, +) - 1) < 1e-9 && probabilities == probabilities.sorted(by: >))
      #expect(Set(next.compactMap { $0["id"] as? Int }).count == next.count)
    }
    let text = try succeed("complete", "model.h5", "the", "--count", "3").lines
    #expect(text.count == 4 && text.prefix(3).allSatisfy { $0.contains("  \"") }, "\(text)")
  }

  @Test func promptsComeFromAFileOrStandardInput() throws {
    try folder.write("prompts.txt", "the cat\n\na dog".utf8)
    let file = try succeed("generate", "model.h5", "--prompts", "prompts.txt", "--length", "9")
    let input = try succeed("generate", "model.h5", "--prompts", "-", "--length", "9", input: "the cat\n\na dog\n")
    #expect(file.output == input.output)
    #expect(file.output.hasPrefix("--- prompt 1\nthe cat") && file.output.contains("\n--- prompt 3\na dog"))
    let json = try succeed(
      "generate", "model.h5", "--prompts", "prompts.txt", "--length", "9", "--samples", "2", "--format", "json")
    let reports = try json.lines.map(object)
    #expect(reports.map { $0["prompt"] as? String } == ["the cat", "the cat", "", "", "a dog", "a dog"])
    #expect(reports.map { $0["sample"] as? Int } == [1, 2, 1, 2, 1, 2])
    #expect(reports.allSatisfy { $0["tokens"] as? Int == 9 && $0["end"] as? String == "length" })
    #expect(reports[0]["text"] as? String != reports[1]["text"] as? String)
    #expect(file.output.contains("the cat" + (reports[0]["text"] as? String ?? "?") + "\n"))
  }

  @Test func aStopTextEndsATextAndIsNotShown() throws {
    let whole = try succeed("generate", "model.h5", "--length", "400", "--seed", "2").output
    let lines = whole.split(separator: "\n", omittingEmptySubsequences: false)
    try #require(lines.count > 2)
    let line = try succeed("generate", "model.h5", "--length", "400", "--seed", "2", "--stop", "\n")
    #expect(line.output == lines[0] + "\n")
    let json = try succeed(
      "generate", "model.h5", "--length", "400", "--seed", "2", "--stop", "\n", "--format", "json")
    #expect(try object(json.output)["end"] as? String == "stop")
  }

  @Test func aReaderThatGoesAwayEndsItQuietly() throws {
    let outcome = try Programs.run(
      "bash",
      ["-c", "\(Programs.folder)/lockstep generate model.h5 --length 100000000 | head -c 100 | wc -c"],
      in: folder.path, seconds: 60)
    #expect(outcome.status == 0 && outcome.output.contains("100") && outcome.error == "", "\(outcome)")
  }

  // MARK: - Judging

  @Test func linesAreScoredByThemselves() throws {
    let lines = "the cats run\nthe cat runs\nzzzz\n\nthe cats run\n"
    let plain = try succeed("score", "model.h5", "-", "--format", "json", "--per-token", input: lines)
    let reports = try plain.lines.map(object)
    let scores = reports.map { $0["logProbability"] as? Double }
    #expect(reports.count == 5 && scores[0] == scores[4] && scores[0] != scores[1])
    for report in reports where report["unknown"] as? Int == 0 {
      let tokens = try #require(report["tokens"] as? [[String: Any]])
      let sum = tokens.compactMap { $0["logProbability"] as? Double }.reduce(0, +)
      #expect(abs(sum - (report["logProbability"] as? Double ?? 0)) < 1e-9)
      #expect(tokens.count == (report["text"] as? String ?? "").count + 1)
      #expect(tokens.last?["token"] as? String == "\n")
    }
    // One line alone costs what the same text costs when it is evaluated from the end of a line on.
    try folder.write("line.txt", "\nthe cats run\n".utf8)
    let evaluation = try succeed("evaluate", "model.h5", "line.txt", "--format", "json")
    #expect(abs((try object(evaluation.output)["nats"] as? Double ?? 0) + (scores[0] ?? 0)) < 1e-4)

    let ranked = try succeed("score", "model.h5", "-", "--rank", input: lines)
    let values = ranked.lines.compactMap { Double($0.split(separator: "\t").first ?? "") }
    #expect(values.count == 5 && values == values.sorted(by: >))
    let impossible = try succeed("score", "model.h5", "-", "--rank", input: "the\nthé\n")
    #expect(impossible.lines.last == "-inf\tthé")
  }

  @Test func everyTokensLossIsWritten() throws {
    try folder.write("text.txt", "the cats run .\nthe dogs sleep .\n".utf8)
    let summary = try succeed("evaluate", "model.h5", "text.txt", "--per-token", "losses.tsv", "--format", "json")
    let report = try object(summary.output)
    let rows = try String(contentsOfFile: folder.file("losses.tsv"), encoding: .utf8).split(separator: "\n")
    #expect(rows.count == 1 + 31 && rows[0] == "place\tnats\ttoken" && rows[1].hasPrefix("1\t"))
    #expect(rows[15].hasSuffix("\t\"t\"") && rows[14].hasSuffix("\t\"\\n\""))
    let sum = rows.dropFirst().compactMap { Double($0.split(separator: "\t")[1]) }.reduce(0, +)
    #expect(abs(sum - (report["nats"] as? Double ?? 0)) < 1e-4)
    let piped = try succeed("evaluate", "model.h5", "text.txt", "--per-token", "-")
    #expect(piped.output == rows.joined(separator: "\n") + "\n" && piped.error.contains("perplexity"))
  }

  /// Memory does not grow with the text, whose tokens alone would take 17 MB more.
  @Test func longTextsNeedNoMoreMemory() throws {
    let line = "the cats that the dog sees run .\n"
    func peak(_ lines: Int) throws -> Int {
      try folder.write("long.txt", String(repeating: line, count: lines).utf8)
      let outcome = try Programs.run(
        "bash",
        [
          "-c",
          "\(Programs.folder)/lockstep evaluate model.h5 long.txt --lanes 16 & "
            + "while kill -0 $! 2>/dev/null; do grep VmHWM /proc/$!/status; sleep 0.02; done; wait $!",
        ], in: folder.path, seconds: 100, environment: ["OMP_NUM_THREADS": "1"])
      #expect(outcome.status == 0, "\(outcome.error)")
      let kilobytes = outcome.lines.filter { $0.hasPrefix("VmHWM") }.compactMap { Int($0.filter(\.isNumber)) }
      return try #require(kilobytes.max())
    }
    let (short, long) = (try peak(64_000), try peak(192_000))
    #expect(long < short + 8_000, "\(short) and \(long) kB")
  }

  // MARK: - Files

  @Test func filesAreInspected() throws {
    try succeed("export", "model.h5", "--output", "model.safetensors")
    try succeed("export", "model.h5", "--output", "model.onnx")
    for (path, kind) in [
      ("checkpoints/characters", "checkpoint"), ("model.h5", "model file"), ("model.safetensors", "safetensors"),
      ("model.onnx", "ONNX"), ("checkpoints/characters/curves.h5", "curves"),
    ] {
      let text = try succeed("inspect", path).output
      #expect(text.contains("kind         \(kind)"), "\(text)")
      let report = try object(succeed("inspect", path, "--format", "json").output)
      #expect(report["kind"] as? String == kind && report["bytes"] as? Int ?? 0 > 100)
      guard kind != "curves" else { continue }
      #expect(text.contains("embedding 12, hidden 16, 16"), "\(text)")
      let training = try #require(report["training"] as? [String: Any])
      #expect(training["step"] as? Int == 60 && training["run"] as? String == "characters")
    }
  }

  @Test func importGivesBackTheBits() throws {
    try succeed("export", "checkpoints/characters", "--output", "a.safetensors")
    try folder.write(
      "even.yaml",
      """
      name: even
      corpus: {sampleLines: 200, tokenizer: words, cache: cache}
      model: {embeddingSize: 8, hiddenSizes: [16, 16]}
      training: {batchSize: 4, sequenceLength: 10, maximumSteps: 20}
      output: {directory: checkpoints}
      generation: {temperatures: []}
      """.utf8)
    try succeed("train", "even.yaml")
    try succeed("export", "checkpoints/even", "--output", "a.safetensors")
    try succeed("import", "a.safetensors", "--output", "b.h5")
    try succeed("export", "b.h5", "--output", "b.safetensors")
    try succeed("export", "checkpoints/even", "--output", "a.h5")
    for ending in ["h5", "safetensors"] {
      let (a, b) = (
        FileManager.default.contents(atPath: folder.file("a.\(ending)")),
        FileManager.default.contents(atPath: folder.file("b.\(ending)"))
      )
      #expect(a != nil && a == b, "\(ending)")
    }
  }

  @Test func whatIsThereIsReplacedOnlyIfItIsAFile() throws {
    try succeed("export", "model.h5", "--output", "target.h5")
    let files = FileManager.default
    try files.createSymbolicLink(atPath: folder.file("link.h5"), withDestinationPath: "target.h5")
    try folder.write("target.h5", "old".utf8)
    try succeed("export", "model.h5", "--output", "link.h5")
    #expect(try files.destinationOfSymbolicLink(atPath: folder.file("link.h5")) == "target.h5")
    #expect(files.contents(atPath: folder.file("target.h5")) == files.contents(atPath: folder.file("model.h5")))
    try folder.write("text.txt", "the cats run .\n".utf8)
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    try refuse("evaluate", "model.h5", "text.txt", "--per-token", "pipe", saying: "pipe or a device")
    #expect(try files.attributesOfItem(atPath: folder.file("pipe"))[.type] as? FileAttributeType != .typeRegular)
    try refuse("evaluate", "model.h5", "pipe", saying: "pipe or a device")
    try refuse("evaluate", "model.h5", "text.txt", "--lanes", "9223372036854775807", saying: "--lanes")
  }

  /// A model of other hands: tensors, and a list of tokens in their own order.
  @Test func foreignModelsNeedTheirTokens() throws {
    try folder.write("abc.txt", String(repeating: "abcab", count: 40).utf8)
    try succeed(
      "train", "characters.yaml", "--set", "name=abc", "--set", "corpus.sampleLines=0", "--set", "corpus.text=abc.txt",
      "--set", "training.maximumSteps=1")
    try succeed("export", "checkpoints/abc", "--output", "abc.safetensors")
    // Without a line's end in the vocabulary every character is still predicted.
    let scores = try succeed("score", "checkpoints/abc", "-", input: "a\nab\n\n").lines
    #expect(scores.count == 3 && scores[0].hasPrefix("-") && !scores[0].hasPrefix("-0.000"))
    try refuse("import", "abc.safetensors", "--tokenizer", "words", "--output", "x.h5", saying: "characters")
    try refuse(
      "import", "abc.safetensors", "--tokenizer", "bytes", "--vocabulary", "v.json", "--output", "x.h5",
      saying: "bytes need none")
    try refuse("import", "model.h5", "--output", "x.h5", saying: "model.h5 is no safetensors file")
    try succeed("export", "model.h5", "--output", "model.onnx")
    try refuse("generate", "model.onnx", saying: "written and not read")
  }

  @Test func marksAndOddSpacesDoNoHarm() throws {
    let lines = try succeed("score", "model.h5", "-", input: "\u{FEFF}the cats\nthe cats\n").lines
    let scores = lines.map { $0.prefix { $0 != "\t" } }
    #expect(scores.count == 2 && scores[0] == scores[1] && scores[0] != "-inf")
    let full = try Programs.run(
      "bash", ["-c", "\(Programs.folder)/lockstep generate model.h5 --length 100000000 > /dev/full"], in: folder.path,
      seconds: 60)
    #expect(full.status == 1 && full.error.contains("No space left"), "\(full)")
  }

  @Test func trainingBeginsWithAModel() throws {
    func test(_ settings: [String]) throws -> Double {
      let outcome = try Programs.run(
        "\(Programs.folder)/lockstep",
        ["train", "characters.yaml", "--log-format", "json"] + settings, in: folder.path,
        environment: ["OMP_NUM_THREADS": "1"])
      #expect(outcome.status == 0, "\(outcome.error)")
      return try #require(outcome.events("test").first?["loss"] as? Double)
    }
    // Without a step of learning, it is the model it begins with.
    let own = try test(["--set", "name=own"])
    let same = try test(set("name=same", "model.from=model.h5", "optimizer.learningRate=0", "training.maximumSteps=1"))
    #expect(own == same)
    // Another text, with other characters: those that are known are known.
    try folder.write("other.txt", String(repeating: "The cats RUN; the dogs sleep!\n", count: 200).utf8)
    let settings = set(
      "corpus.sampleLines=0", "corpus.text=other.txt", "model.from=checkpoints/characters", "training.maximumSteps=40")
    let outcome = try Programs.run(
      "\(Programs.folder)/lockstep", ["train", "characters.yaml"] + set("name=other") + settings, in: folder.path)
    #expect(outcome.status == 0 && outcome.output.contains("others get new rows"), "\(outcome.output)")
    try refuse(
      "train", "characters.yaml", "--set", "name=x", "--set", "model.from=model.h5", "--set", "model.hiddenSizes=[24]",
      saying: "model.hiddenSizes", "[16, 16]", "[24]")
    try refuse(
      "train", "characters.yaml", "--set", "name=x", "--set", "model.from=model.h5", "--set", "corpus.tokenizer=words",
      saying: "corpus.tokenizer", "characters", "words")
    try refuse("train", "characters.yaml", "--set", "name=x", "--set", "model.from=nowhere.h5", saying: "nowhere.h5")
  }

  @Test func whatCannotBeUsedIsRefused() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: folder.file("model.h5")))
    try folder.write("cut.h5", whole.prefix(whole.count / 2))
    var damaged = whole
    damaged[whole.count / 2] ^= 1
    try folder.write("damaged.h5", damaged)
    var newer = whole
    newer[28] = 99
    try folder.write("newer.h5", newer)
    try folder.write("empty.h5", [UInt8]())
    try folder.write("text.h5", "no model at all\n".utf8)
    for (path, words) in [
      ("cut.h5", "cut short"), ("damaged.h5", "SHA-256"), ("newer.h5", "SHA-256"), ("empty.h5", "empty"),
      ("text.h5", "written by Lockstep"), ("nowhere.h5", "No such file"), (".", "expected a checkpoint"),
      ("checkpoints/characters/curves.h5", "curves"),
    ] {
      for command in ["generate", "complete"] {
        try refuse(command, path, saying: words)
      }
      try refuse("export", path, "--output", "new.h5", saying: words)
    }
    #expect(!FileManager.default.fileExists(atPath: folder.file("new.h5")))

    try refuse("generate", "model.h5", "--prompt", "thé", saying: "the prompt", "U+00E9")
    try refuse("complete", "model.h5", "\u{7}", saying: "the prompt", "U+0007")
    try folder.write("bad.txt", Array("good\nthé\n".utf8))
    try refuse("generate", "model.h5", "--prompts", "bad.txt", "--length", "1", saying: "bad.txt, line 2")
    try folder.write("bytes.txt", Array("good\n".utf8) + [0xff, 0x0a])
    try refuse("score", "model.h5", "bytes.txt", saying: "bytes.txt, line 2", "UTF-8")
    try refuse("generate", "model.h5", "--prompts", "bytes.txt", "--length", "1", saying: "bytes.txt, line 2", "UTF-8")
    try refuse("generate", "model.h5", "--prompts", ".", saying: "Is a directory")
    try refuse("export", "model.h5", "--output", "model.bin", saying: ".safetensors", ".onnx", ".h5")
    try refuse("export", "model.h5", "--output", "nowhere/model.h5", saying: "nowhere/model.h5")
    try refuse("import", "model.h5", "--output", "new.h5", saying: "model.h5")
    try refuse("inspect", "text.h5", saying: "text.h5")
    for arguments in [
      ["--top-p", "0"], ["--top-p", "1.5"], ["--min-p", "-1"], ["--top-k", "-1"], ["--samples", "0"],
      ["--temperature", "nan"], ["--prompt", "a", "--prompts", "b"], ["--stop", ""],
    ] {
      let outcome = try Programs.run(
        "\(Programs.folder)/lockstep", ["generate", "model.h5"] + arguments, in: folder.path)
      #expect(outcome.status == 64 && outcome.error.contains("Usage:"), "\(arguments): \(outcome.error)")
    }
  }
}
