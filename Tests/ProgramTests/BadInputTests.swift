import Checkpoints
import Files
import Foundation
import Glibc
import TestSupport
import Testing

/// What cannot work ends with a message that names the place and the remedy, a status that is not 0, nothing
/// that looks whole, and no rank left behind.
@Suite struct BadInputTests {
  /// Starts the small run on two ranks with settings over it, and expects it to be refused.
  private func expectRefused(
    _ settings: String..., in folder: TemporaryFolder, ranks: Int = 2, saying parts: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let configuration = try folder.writeSmallConfiguration()
    let outcome = try Programs.lockstepd(
      ranks: ranks, ["run", configuration] + settings.flatMap { ["--set", $0] }, in: folder.path, seconds: 120)
    #expect(outcome.status == 1, "\(outcome.output) \(outcome.error)", sourceLocation: sourceLocation)
    let said = outcome.error.components(separatedBy: "lockstepd: error").count - 1
    #expect(said == 1, "said \(said) times: \(outcome.error)", sourceLocation: sourceLocation)
    for part in parts {
      #expect(outcome.error.contains(part), "\"\(part)\" in: \(outcome.error)", sourceLocation: sourceLocation)
    }
    #expect(try CheckpointStore(folder.file("checkpoints/small")).steps() == [], sourceLocation: sourceLocation)
  }

  @Test func textsThatCannotServe() throws {
    let folder = try TemporaryFolder()
    let text = "corpus.sampleLines=0"
    try folder.write("empty.txt", "")
    try expectRefused(text, "corpus.text=empty.txt", in: folder, saying: "empty.txt")
    try folder.write("short.txt", "too short for ten lanes\n")
    try expectRefused(
      text, "corpus.text=short.txt", in: folder, saying: "at least 121 tokens", "found 6", "fewer lanes")
    try folder.write("latin1.txt", [UInt8]("caf".utf8) + [0xE9, 0x0A])
    try expectRefused(
      text, "corpus.text=latin1.txt", "corpus.tokenizer=characters", in: folder, saying: "latin1.txt", "byte", "UTF-8")
    try expectRefused(text, "corpus.text=nowhere.txt", in: folder, saying: "nowhere.txt", "check the path")
    try expectRefused(text, "corpus.prepared=nowhere", in: folder, saying: "nowhere")
    try expectRefused("generation.prompts=[the xylophone]", in: folder, saying: "the prompt", "xylophone")
    try expectRefused(
      "corpus.split=[1, 0, 0]", "training.patience=2", in: folder, saying: "training.patience needs a validation text")
  }

  @Test func settingsThatCannotBe() throws {
    let folder = try TemporaryFolder()
    try expectRefused("model.hiddenSizes=[]", in: folder, saying: "--set model.hiddenSizes=[]", "at least one layer")
    try expectRefused("model.dropout=1.5", in: folder, saying: "model.dropout is 1.5", "probability")
    try expectRefused("trainig.epochs=3", in: folder, saying: "did you mean 'training'")
    try expectRefused(
      "training.batchSize=2", in: folder, ranks: 3, saying: "training.batchSize is 2 for 3 ranks", "start fewer ranks")
    try folder.write("bad.yaml", "name: x\nmodel:\n  layers: 3\n")
    let outcome = try Programs.lockstepd(ranks: 2, ["run", "bad.yaml"], in: folder.path, seconds: 120)
    #expect(outcome.status == 1 && outcome.error.contains("bad.yaml:3: unknown key 'model.layers'"))
    let missing = try Programs.lockstepd(ranks: 2, ["run", "nowhere.yaml"], in: folder.path, seconds: 120)
    #expect(missing.status == 1 && missing.error.contains("cannot open nowhere.yaml"))
  }

  /// YAML whose key is made of 10^10 values, in 400 bytes: as a configuration, a setting and a model's metadata.
  @Test func textsThatWouldKeepAProgramBusy() throws {
    let folder = try TemporaryFolder()
    let anchors = (1...9).reduce("&l0 [x, x, x, x, x, x, x, x, x, x]") { inner, level in
      "&l\(level) [\(inner)\(String(repeating: ", *l\(level - 1)", count: 9))]"
    }
    func expectRefused(_ arguments: String..., saying part: String) throws {
      let outcome = try Programs.run("\(Programs.folder)/lockstep", arguments, in: folder.path, seconds: 60)
      #expect(outcome.status == 1 && outcome.error.contains(part), "\(arguments): \(outcome.status) \(outcome.error)")
    }
    let configuration = try folder.writeSmallConfiguration()
    try folder.write("hostile.yaml", "? \(anchors) : 1\n")
    try expectRefused("train", "hostile.yaml", saying: "hostile.yaml: this YAML is not accepted: line 1")
    try expectRefused("train", configuration, "--set", "seed=\(anchors)", saying: "found an anchor")
    try expectRefused(
      "train", configuration, "--set", "model.hiddenSizes=[\(String(repeating: "1, ", count: 30_000))1]",
      saying: "at most 4096 values")
    try expectRefused("train", configuration, "--set", "seed=1:1:1:1:1:1:1:1:1:1:1:1:1", saying: "a whole number")

    // PyTorch's layers are all of one size.
    let trained = try Programs.lockstep("train", configuration, "--set", "model.hiddenSizes=[16, 16]", in: folder.path)
    #expect(trained.status == 0, "\(trained.error)")
    let export = try Programs.lockstep(
      "export", "checkpoints/small", "--output", "model.safetensors", in: folder.path)
    try #require(export.status == 0, "\(export.error)")
    for (name, text) in [
      ("configuration", "? \(anchors) : 1\n"), ("progress", String(repeating: "[", count: 100_000)),
      ("results", "{\"samples\": [], \"samples\": []}"),
    ] {
      try replaceMetadata(
        name, with: text, of: folder.file("model.safetensors"), as: folder.file("hostile.safetensors"))
      for arguments in [["inspect"], ["generate"], ["import", "--output", "out.h5"]] {
        let outcome = try Programs.run(
          "\(Programs.folder)/lockstep", [arguments[0], "hostile.safetensors"] + arguments.dropFirst(), in: folder.path,
          seconds: 60)
        #expect(outcome.status == 1 && outcome.error.contains(name), "\(arguments): \(outcome.status) \(outcome.error)")
      }
    }
  }

  /// Puts another text into the header of a safetensors file: its length in 8 bytes, and as much JSON.
  private func replaceMetadata(_ name: String, with text: String, of path: String, as copy: String) throws {
    let file = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = Int(file.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
    var header = try #require(
      JSONSerialization.jsonObject(with: file.dropFirst(8).prefix(length)) as? [String: Any])
    var metadata = try #require(header["__metadata__"] as? [String: String])
    let key = try #require(metadata.keys.first { $0.hasSuffix(name) })
    metadata[key] = text
    header["__metadata__"] = metadata
    let json = try JSONSerialization.data(withJSONObject: header)
    let size = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
    try (size + json + file.dropFirst(8 + length)).write(to: URL(fileURLWithPath: copy))
  }

  @Test func tooLittleMemory() throws {
    let folder = try TemporaryFolder()
    try expectRefused("model.hiddenSizes=[900000]", in: folder, saying: "this run needs about", "model.hiddenSizes")
    // A limit of the process's own, as a batch system sets it; one rank is enough.
    let limited = try Programs.run(
      "bash",
      ["-c", "ulimit -v 4000000; exec \(Programs.folder)/lockstep train small.yaml --set model.hiddenSizes=[12000]"],
      in: folder.path, seconds: 120, environment: ["OMP_NUM_THREADS": "1"])
    #expect(limited.status == 1 && limited.error.contains("this run needs about"), "\(limited.error)")
  }

  @Test func outputThatCannotBeWritten() throws {
    let folder = try TemporaryFolder()
    try folder.write("taken", "a file, where a folder is wanted")
    try expectRefused("output.directory=taken", in: folder, saying: "taken", "folder")
    if getuid() != 0 {  // root may write anywhere
      try FileSystem.createDirectory(folder.file("locked"))
      chmod(folder.file("locked"), 0o555)
      try expectRefused("output.directory=locked", in: folder, saying: "locked", "Permission denied")
    }
    try expectRefused("output.directory=/proc/x", in: folder, saying: "/proc/x")
    let full = try Programs.lockstepd(
      ranks: 2, ["run", folder.writeSmallConfiguration()] + set("output.directory=/dev/full"), in: folder.path,
      seconds: 120)
    #expect(full.status == 1 && full.error.contains("/dev/full"))
  }

  @Test func standardOutputThatIsFull() throws {
    let folder = try TemporaryFolder()
    try folder.write("text.txt", "the cat\n")
    #expect(try Programs.lockstep("train", folder.writeSmallConfiguration(), in: folder.path).status == 0)
    for command in ["generate checkpoints/small", "evaluate checkpoints/small text.txt", "train small.yaml"] {
      let outcome = try Programs.run(
        "bash", ["-c", "\(Programs.folder)/lockstep \(command) >/dev/full"], in: folder.path)
      #expect(outcome.status == 1 && outcome.error.contains("standard output"), "\(command): \(outcome.error)")
    }
  }

  @Test func damagedTokenFiles() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    _ = try Programs.lockstep("corpus", "sample", "--lines", "2000", "--output", ".", in: folder.path)
    _ = try Programs.lockstep("corpus", "prepare", "--output", "tokens", "sample.txt", in: folder.path)
    let path = folder.file("tokens/train-00000.tokens")
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    var flipped = whole
    flipped[whole.count / 2] ^= 1
    for damaged in [flipped, whole.prefix(1000), Data()] {
      try damaged.write(to: URL(fileURLWithPath: path))
      let outcome = try Programs.lockstepd(
        ranks: 2, ["run", configuration] + set("corpus.sampleLines=0", "corpus.prepared=tokens"), in: folder.path,
        seconds: 120)
      #expect(outcome.status == 1 && outcome.error.contains("train-00000.tokens"), "\(outcome.error)")
    }
  }

  /// One rank works in another folder, where the corpus is not.
  @Test func oneRankCannotReadTheCorpus() throws {
    let folder = try TemporaryFolder()
    let configuration = folder.file(try folder.writeSmallConfiguration())
    try FileSystem.createDirectory(folder.file("elsewhere"))
    let command = ["\(Programs.folder)/lockstepd", "run", configuration]
    let outcome = try Programs.mpirun(
      ["-n", "1", "--wdir", folder.path] + command + [":", "-n", "1", "--wdir", folder.file("elsewhere")] + command,
      in: folder.path, seconds: 120)
    #expect(outcome.status == 1, "\(outcome.output)")
    #expect(outcome.error.contains("rank 1 on "), "\(outcome.error)")
    #expect(outcome.error.contains("checkpoints/.corpora"), "\(outcome.error)")
    #expect(try CheckpointStore(folder.file("checkpoints/small")).steps() == [])
  }

  @Test func modelsThatAreNone() throws {
    let folder = try TemporaryFolder()
    try folder.write("text.txt", "the cat\n")
    try folder.write("model.h5", "no model")
    try folder.write("empty.txt", "")
    for (model, saying) in [("nowhere", "nowhere"), ("model.h5", "model.h5"), (".", "expected a checkpoint")] {
      for command in [["evaluate", model, "text.txt"], ["generate", model]] {
        let outcome = try Programs.run("\(Programs.folder)/lockstep", command, in: folder.path)
        #expect(outcome.status == 1 && outcome.error.hasPrefix("lockstep: error: "), "\(outcome.error)")
        #expect(outcome.error.contains(saying), "\(outcome.error)")
      }
    }
    #expect(try Programs.lockstep("train", folder.writeSmallConfiguration(), in: folder.path).status == 0)
    for (arguments, saying) in [
      (["generate", "checkpoints/small", "--prompt", "the xylophone"], "xylophone"),
      (["evaluate", "checkpoints/small", "nowhere.txt"], "nowhere.txt"),
      (["evaluate", "checkpoints/small", "empty.txt"], "at least 2 tokens"),
      (["evaluate", "checkpoints/small", "."], "it is a folder"),
    ] {
      let outcome = try Programs.run("\(Programs.folder)/lockstep", arguments, in: folder.path)
      #expect(outcome.status == 1 && outcome.error.contains(saying), "\(outcome.error)")
    }
  }
}
