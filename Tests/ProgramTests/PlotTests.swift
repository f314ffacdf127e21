import Checkpoints
import Files
import Foundation
import FoundationXML
import TestSupport
import Testing

/// `lockstep plot` and `lockstep compare`: what is seen of runs when they are over.
@Suite struct PlotTests {
  /// Two small runs that differ in one setting.
  private func trainTwo() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    for (name, rate) in [("fast", "0.02"), ("slow", "0.001")] {
      let outcome = try Programs.lockstep(
        "train", configuration, "--set", "name=\(name)", "--set", "optimizer.learningRate=\(rate)", "--set",
        "training.epochs=2", "--set", "training.maximumSteps=300", in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    return folder
  }

  private func run(_ arguments: [String], in folder: TemporaryFolder, path: String? = nil) throws -> Outcome {
    try Programs.run(
      "\(Programs.folder)/lockstep", arguments, in: folder.path, environment: path.map { ["PATH": $0] } ?? [:])
  }

  private func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  private func dictionary(_ json: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
  }

  @Test func curvesAreDrawn() throws {
    let folder = try trainTwo()
    let outcome = try run(["plot", "checkpoints/fast", "--output", "folder.svg"], in: folder)
    #expect(outcome.status == 0 && outcome.output.isEmpty && outcome.error.isEmpty, "\(outcome.error)")
    let picture = try contents(folder.file("folder.svg"))
    #expect(XMLParser(data: picture).parse())
    let text = String(decoding: picture, as: UTF8.self)
    let curves = try Curves(path: folder.file("checkpoints/fast/curves.h5"))
    let best = try #require(curves.validation.map { $0["perplexity"] }.min())
    #expect(text.contains(">\(String(format: best < 10 ? "%.3f" : "%.2f", best))<"), "\(best)")
    #expect(text.contains(">fast<") && text.contains(">validation<") && text.contains(">step<"))

    // The curves' own file and the pipe show the same.
    let own = try run(["plot", "checkpoints/fast/curves.h5", "--output", "-"], in: folder)
    #expect(own.status == 0 && own.output == text)
    // A checkpoint has the same curves, under its own name.
    let file = try #require(try CheckpointStore(folder.file("checkpoints/fast")).newest { _, _ in })
    let checkpoint = try run(
      ["plot", file.path, "--title", "fast", "--output", "checkpoint.SVG"], in: folder)
    #expect(checkpoint.status == 0, "\(checkpoint.error)")
    let drawn = String(decoding: try contents(folder.file("checkpoint.SVG")), as: UTF8.self)
    #expect(drawn.contains(">fast<") && drawn.contains("fast/step-"))
    // Over epochs and tokens, as the checkpoint and as the curves alone tell it.
    for (x, label) in [("epoch", "epoch"), ("tokens", "tokens")] {
      let outcomes = try ["checkpoints/fast", "checkpoints/fast/curves.h5"].map {
        try run(["plot", $0, "--x", x, "--output", "-"], in: folder)
      }
      #expect(outcomes[0].output.contains(">\(label)<") && outcomes[0].output != text, "\(outcomes[0].error)")
      #expect(outcomes[0].output == outcomes[1].output, "\(x)")
    }
  }

  @Test func picturesOfPointsAreMadeByAnotherProgram() throws {
    let folder = try trainTwo()
    let both = ["plot", "checkpoints/fast", "checkpoints/slow"]
    func size(_ name: String) throws -> [Int] {
      let bytes = [UInt8](try contents(folder.file(name)))
      #expect(bytes.starts(with: [0x89] + Array("PNG\r\n".utf8)) && bytes.count > 1000)
      return [16, 20].map { bytes[$0..<$0 + 4].reduce(0) { $0 << 8 | Int($1) } }
    }
    let usual = try run(both + ["--output", "both.png"], in: folder)
    #expect(usual.status == 0, "\(usual.error)")
    #expect(try size("both.png") == [1720, 1040])
    let small = try run(
      both + ["--output", "both.png", "--width", "640", "--height", "400", "--zoom", "1"], in: folder)
    #expect(small.status == 0, "\(small.error)")
    #expect(try size("both.png") == [640, 400])

    // What the other program cannot do leaves the old picture, and nothing beside it.
    let before = try contents(folder.file("both.png"))
    let absent = try run(both + ["--output", "both.png"], in: folder, path: folder.path)
    #expect(absent.status == 1 && absent.error.contains("librsvg2-bin"), "\(absent.error)")
    try FileSystem.createDirectory(folder.file("bin"))
    for (script, saying) in [
      ("echo half > \"$6\"; echo the disk is purple >&2; exit 3", ["status 3", "the disk is purple"]),
      ("kill -9 $$", ["signal 9", "nothing"]),
    ] {
      try folder.write("bin/rsvg-convert", "#!/bin/sh\n\(script)\n")
      #expect(chmod(folder.file("bin/rsvg-convert"), 0o755) == 0)
      let failed = try run(both + ["--output", "both.png"], in: folder, path: folder.file("bin"))
      #expect(failed.status == 1, "\(failed.error)")
      for part in saying { #expect(failed.error.contains(part), "\(failed.error)") }
    }
    try folder.write("bin/rsvg-convert", "no program")
    let broken = try run(both + ["--output", "both.png"], in: folder, path: folder.file("bin"))
    #expect(broken.status == 1 && broken.error.contains("rsvg-convert"), "\(broken.error)")
    #expect(try contents(folder.file("both.png")) == before)
    #expect(try FileSystem.list(folder.path).filter { $0.contains("partial") } == [])
  }

  @Test func rowsAreToldAsJSON() throws {
    let folder = try trainTwo()
    let curves = try Curves(path: folder.file("checkpoints/slow/curves.h5"))
    let outcome = try run(
      ["plot", "checkpoints/fast", "checkpoints/slow", "--format", "json", "--from", "10", "--to", "20"], in: folder)
    let runs = try #require(try dictionary(outcome.output)["runs"] as? [[String: Any]])
    #expect(runs.map { $0["name"] as? String } == ["fast", "slow"])
    let rows = try #require(runs[1]["training"] as? [[String: Any]])
    #expect(rows.map { $0["step"] as? Int } == Array(10...20))
    for (row, point) in zip(rows, curves.training.filter { 10...20 ~= $0.step }) {
      #expect(abs((row["loss"] as? Double ?? 0) - point["loss"]) < 1e-12)
    }
    let all = try run(["plot", "checkpoints/slow", "--format", "json", "--no-training"], in: folder)
    let run = try #require((try dictionary(all.output)["runs"] as? [[String: Any]])?.first)
    #expect((run["training"] as? [Any])?.isEmpty == true)
    let best = try #require(curves.validation.min { $0["loss"] < $1["loss"] })
    #expect((run["best"] as? [String: Any])?["step"] as? Int == best.step)
    let perplexity = try #require((run["best"] as? [String: Any])?["perplexity"] as? Double)
    #expect(abs(perplexity / best["perplexity"] - 1) < 1e-12)
  }

  @Test func runsAreComparedSideBySide() throws {
    let folder = try trainTwo()
    let outcome = try run(["compare", "checkpoints/fast", "checkpoints/slow"], in: folder)
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.error)")
    func cells(_ name: String) -> [String] {
      let line = outcome.lines.first { $0.trimmingCharacters(in: .whitespaces).hasPrefix("\(name)  ") } ?? ""
      return line.components(separatedBy: "  ").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
    #expect(outcome.lines.first?.split(separator: " ") == ["fast", "slow"])
    #expect(cells("optimizer.learningRate") == ["optimizer.learningRate", "0.02", "0.001"])
    #expect(cells("steps") == ["steps", "300", "300"])
    let perplexities = cells("best validation perplexity")
    #expect(perplexities.count == 3 && perplexities[1].hasSuffix(" *") && !perplexities[2].hasSuffix("*"))
    #expect(!outcome.output.contains("batchSize") && !outcome.output.contains("do not compare"))
    let all = try run(["compare", "checkpoints/fast", "checkpoints/slow", "--all"], in: folder)
    #expect(all.lines.contains { $0.split(separator: " ") == ["training.batchSize", "10", "10"] })

    let json = try dictionary(
      run(["compare", "checkpoints/fast", "checkpoints/slow", "--format", "json"], in: folder).output)
    #expect(json["differing"] as? [String] == ["name", "optimizer.learningRate"])
    let reports = try #require(json["runs"] as? [[String: Any]])
    for (report, name) in zip(reports, ["fast", "slow"]) {
      let curves = try Curves(path: folder.file("checkpoints/\(name)/curves.h5"))
      let best = try #require(report["bestValidation"] as? [String: Any])
      let least = try #require(curves.validation.map { $0["loss"] }.min())
      #expect(abs((best["loss"] as? Double ?? 0) - least) < 1e-12)
      // Every row is one step of 120 tokens.
      let seconds = curves.training.reduce(0) { $0 + 120 / $1.tokensPerSecond }
      #expect(abs((report["trainingSeconds"] as? Double ?? 0) / seconds - 1) < 1e-9)
      #expect(abs((report["tokensPerSecond"] as? Double ?? 0) / (36000 / seconds) - 1) < 1e-9)
      #expect((report["configuration"] as? [String: Any])?["name"] as? String == name)
    }
    // Curves alone tell no settings, and nobody knows of which text they are.
    let alone = try run(["compare", "checkpoints/fast", "checkpoints/slow/curves.h5"], in: folder)
    #expect(alone.status == 0 && alone.output.contains("metrics do not compare"), "\(alone.error)")
    #expect(alone.lines.contains { $0.hasPrefix("best validation perplexity") && !$0.contains("*") })
  }

  @Test func runsOfOneNameAreToldApart() throws {
    let folder = try trainTwo()
    for other in ["a", "b"] {
      try FileSystem.createDirectory(folder.file(other))
      try FileManager.default.copyItem(atPath: folder.file("checkpoints/fast"), toPath: folder.file("\(other)/fast"))
    }
    let outcome = try run(["compare", "a/fast", "b/fast/", "checkpoints/slow", "a/fast"], in: folder)
    let folderName = FileSystem.name(of: folder.path)
    #expect(outcome.status == 0, "\(outcome.error)")
    let head = try #require(outcome.lines.first)
    #expect(
      head.contains(" b/fast ") && head.contains(" slow ") && head.contains("\(folderName)/a/fast (2)"), "\(head)")
  }

  @Test func aDamagedFileIsPassedOverWhereAnotherWillDo() throws {
    let folder = try trainTwo()
    let path = folder.file("checkpoints/fast/curves.h5")
    let whole = try contents(path)
    var damaged = whole
    damaged[whole.count / 2] ^= 1
    try damaged.write(to: URL(fileURLWithPath: path))
    let outcome = try run(["plot", "checkpoints/fast", "--output", "a.svg"], in: folder)
    #expect(outcome.status == 0 && outcome.error.hasPrefix("warning: passed over checkpoints/fast/curves.h5"))
    #expect(FileSystem.exists(folder.file("a.svg")))
    // Without a checkpoint there is nothing else.
    try FileSystem.createDirectory(folder.file("alone"))
    try damaged.write(to: URL(fileURLWithPath: folder.file("alone/curves.h5")))
    for command in [["plot", "alone", "--output", "b.svg"], ["compare", "alone", "checkpoints/slow"]] {
      let refused = try run(command, in: folder)
      #expect(refused.status == 1 && refused.error.contains("alone/curves.h5"), "\(refused.error)")
      #expect(refused.error.contains("SHA-256"), "\(refused.error)")
    }
    #expect(!FileSystem.exists(folder.file("b.svg")))
  }

  @Test func whatCannotBeDrawnOrComparedIsRefused() throws {
    let folder = try trainTwo()
    let fast = "checkpoints/fast"
    try folder.write("text.txt", "no curves")
    try FileSystem.createDirectory(folder.file("taken.svg"))
    try FileSystem.createDirectory(folder.file("empty"))
    try Curves().save(to: folder.file("empty/curves.h5"))
    var begun = Curves()
    begun.training = [
      TrainingPoint(
        step: 1, epoch: 1, tokens: 9, metrics: ["loss": .infinity, "perplexity": .infinity], learningRate: 1,
        gradientNorm: 1,
        tokensPerSecond: 1)
    ]
    try begun.save(to: folder.file("begun.h5"))
    let refused: [([String], [String])] = [
      (["plot", "nowhere", "--output", "a.svg"], ["nowhere", "check the path"]),
      (["plot", "taken.svg", "--output", "a.svg"], ["taken.svg", "expected a run's folder", "curves.h5"]),
      (["plot", "text.txt", "--output", "a.svg"], ["text.txt", "expected a file written by Lockstep"]),
      (["plot", "empty", "--output", "a.svg"], ["empty", "expected a finite perplexity", "found none"]),
      (["plot", fast, "--from", "301", "--output", "a.svg"], [fast, "from step 301"]),
      (["plot", "begun.h5", "--output", "a.svg"], ["begun.h5", "expected a finite perplexity"]),
      (["plot", "begun.h5", "--x", "epoch", "--output", "a.svg"], ["begun.h5", "how many steps an epoch has"]),
      (["plot", fast, "--output", "nowhere/a.svg"], ["nowhere/a.svg", "check the path"]),
      (["plot", fast, "--output", "nowhere/a.png"], ["nowhere/a.png", "check the path"]),
      (["plot", fast, "--output", "/proc/a.svg"], ["/proc/a.svg"]),
      (["plot", fast, "--output", "taken.svg"], ["taken.svg", "it is a folder"]),
      (["compare", fast, "nowhere"], ["nowhere", "check the path"]),
      (["compare", fast, "text.txt"], ["text.txt", "expected a file written by Lockstep"]),
      (["compare", fast, "taken.svg"], ["taken.svg", "expected a run's folder"]),
    ]
    for (arguments, parts) in refused {
      let outcome = try run(arguments, in: folder)
      #expect(outcome.status == 1 && outcome.output.isEmpty, "\(arguments): \(outcome.output)")
      for part in parts { #expect(outcome.error.contains(part), "\(part) in \(arguments): \(outcome.error)") }
    }
    for arguments in [
      ["plot"], ["plot", fast], ["plot", fast, "--output", "a.pdf"], ["plot", fast, "--output", "svg"],
      ["plot", fast, "--output", "a.svg", "--smooth", "0"], ["plot", fast, "--output", "a.svg", "--width", "10"],
      ["plot", fast, "--output", "a.svg", "--height", "10000000"],
      ["plot", fast, "--output", "a.png", "--zoom", "nan"],
      ["plot", fast, "--output", "a.svg", "--x", "hour"], ["plot", fast, "--output", "a.svg", "--highest", "0"],
      ["plot", fast, "--output", "a.svg", "--format", "json"],
      ["plot", fast, "--output", "a.svg", "--from", "5", "--to", "4"], ["compare"], ["compare", fast],
    ] {
      let outcome = try run(arguments, in: folder)
      #expect(outcome.status == 64 && outcome.error.contains("Usage:"), "\(arguments): \(outcome.error)")
    }
    #expect(!FileSystem.exists(folder.file("a.svg")) && !FileSystem.exists(folder.file("a.png")))
    #expect(try FileSystem.list(folder.path).filter { $0.contains("partial") } == [])
    // JSON has no word for what cannot be drawn.
    let json = try run(["plot", "begun.h5", "--format", "json"], in: folder)
    #expect(json.status == 0 && json.output.contains("\"perplexity\" : \"inf\""), "\(json.output) \(json.error)")
    // With another run that can be drawn, an empty one is only told of.
    let both = try run(["plot", fast, "empty", "--output", "a.svg"], in: folder)
    #expect(both.status == 0 && both.error.hasPrefix("warning: empty: expected a finite perplexity"), "\(both.error)")
    let full = try Programs.run(
      "bash", ["-c", "\(Programs.folder)/lockstep plot \(fast) --output - >/dev/full"], in: folder.path)
    #expect(full.status == 1 && full.error.contains("standard output"), "\(full.error)")
  }
}
