import Foundation
import TestSupport
import Testing

/// `lockstep`, the command line without MPI.
@Suite struct CommandTests {
  @Test func aModelIsTrainedEvaluatedAndUsed() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let train = try Programs.lockstep("train", configuration, "--log-format", "json", in: folder.path)
    #expect(train.status == 0, "\(train.error)")
    let finish = try #require(train.events("finished").first)

    // The run's own validation text, cut out of the sample it wrote: the last tenth but one of its lines.
    let json = try Programs.lockstep(
      "evaluate", "checkpoints/small", "checkpoints/.corpora/sample-2000-lines-seed-1/sample.txt", "--format", "json",
      "--lanes", "4", in: folder.path)
    #expect(json.status == 0, "\(json.error)")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    let loss = try #require(report["loss"] as? Double)
    #expect(abs(loss - (finish["validationLoss"] as? Double ?? 0)) < 0.2)
    #expect(abs((report["perplexity"] as? Double ?? 0) - exp(loss)) < 1e-9)
    #expect(abs((report["bitsPerToken"] as? Double ?? 0) - loss / log(2)) < 1e-9)
    #expect(report["unit"] as? String == "word")

    func generate(_ arguments: String...) throws -> String {
      let outcome = try Programs.run(
        "\(Programs.folder)/lockstep", ["generate", "checkpoints/small", "--length", "30"] + arguments, in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
      return outcome.output
    }
    #expect(try generate("--seed", "3") == generate("--seed", "3"))
    #expect(try generate("--seed", "3") != generate("--seed", "4"))
    #expect(try generate("--seed", "3", "--temperature", "0") == generate("--seed", "4", "--temperature", "0"))
    #expect(try generate("--prompt", "the cats").hasPrefix("the cats "))
    #expect(try !generate("--temperature", "3").contains("<unk>"))
  }

  @Test func evaluationCountsEveryTokenButTheFirst() throws {
    let folder = try TemporaryFolder()
    #expect(try Programs.lockstep("train", folder.writeSmallConfiguration(), in: folder.path).status == 0)
    try folder.write("text.txt", "the cats run .\nthe dog sleeps .\n")
    for lanes in ["1", "3"] {
      let outcome = try Programs.lockstep(
        "evaluate", "checkpoints/small", "text.txt", "--lanes", lanes, in: folder.path)
      #expect(outcome.output.contains("predictions  9\n"), "\(outcome.output) \(outcome.error)")
    }
  }

  @Test func corporaAreMadePreparedAndInspected() throws {
    let folder = try TemporaryFolder()
    let sample = try Programs.lockstep("corpus", "sample", "--lines", "500", "--output", "sample", in: folder.path)
    #expect(sample.status == 0 && sample.output.contains("500 lines in sample/sample.txt"), "\(sample.error)")
    let prepare = try Programs.lockstep(
      "corpus", "prepare", "--shards", "3", "--output", "tokens", "sample/sample.txt", in: folder.path)
    #expect(prepare.status == 0 && prepare.output.contains("the source's own perplexity"), "\(prepare.error)")
    let inspect = try Programs.lockstep("corpus", "inspect", "tokens", in: folder.path)
    #expect(inspect.status == 0 && inspect.output == prepare.output)
    let counted = try Programs.run("wc", ["-lw", "sample/sample.txt"], in: folder.path)
    let numbers = counted.output.split(separator: " ").compactMap { Int($0) }
    let json = try Programs.lockstep("corpus", "inspect", "tokens", "--format", "json", in: folder.path)
    let manifest = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    let parts = try #require(manifest["parts"] as? [String: [String: Any]])
    #expect(parts.values.reduce(0) { $0 + ($1["tokens"] as? Int ?? 0) } == numbers.reduce(0, +))
    // Prepared tokens serve a run.
    let train = try Programs.lockstep(
      "train", folder.writeSmallConfiguration(), "--set", "corpus.sampleLines=0", "--set", "corpus.prepared=tokens",
      "--set", "training.maximumSteps=3", in: folder.path)
    #expect(train.status == 0, "\(train.error)")
  }

  @Test func itStandsAlone() throws {
    let outcome = try Programs.run("ldd", ["\(Programs.folder)/lockstep"], in: "/")
    #expect(outcome.status == 0 && outcome.output.contains("libdnnl"))
    #expect(!outcome.output.contains("libmpi") && !outcome.output.contains("libswift"), "\(outcome.output)")
  }

  @Test func helpShowsExamples() throws {
    for command in [
      ["train"], ["evaluate"], ["generate"], ["complete"], ["score"], ["inspect"], ["plot"], ["compare"], ["export"],
      ["import"], ["corpus", "sample"], ["corpus", "prepare"],
    ] {
      let outcome = try Programs.run("\(Programs.folder)/lockstep", command + ["--help"], in: "/")
      #expect(outcome.status == 0 && outcome.output.contains("lockstep \(command.joined(separator: " ")) "))
    }
    let daemon = try Programs.run("\(Programs.folder)/lockstepd", ["run", "--help"], in: "/")
    #expect(daemon.status == 0 && daemon.output.contains("mpirun -n 4 lockstepd run"))
  }

  @Test func badCommandLinesShowTheUsage() throws {
    let folder = try TemporaryFolder()
    for arguments in [
      ["generate"], ["generate", "x", "--length", "-3"], ["evaluate", "x", "y", "--lanes", "0"], ["nothing"],
    ] {
      let outcome = try Programs.run("\(Programs.folder)/lockstep", arguments, in: folder.path)
      #expect(outcome.status == 64 && outcome.error.contains("Usage:"), "\(outcome.error)")
    }
  }
}
