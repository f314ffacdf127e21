import Checkpoints
import Corpus
import Files
import Foundation
import HDF5Files
import Kernels
import Networks
import TestSupport
import Testing
import Training

@Suite struct CheckpointTests {
  private func checkpoint(step: Int = 7, tokenizer: TokenizerKind = .words) throws -> Checkpoint {
    var configuration = RunConfiguration()
    configuration.corpus.text = ["a.txt"]
    configuration.model = ModelConfiguration(embeddingSize: 3, hiddenSizes: [4, 5])
    configuration.training.batchSize = 2
    let entries: [String] =
      switch tokenizer {
      case .words: ["<unk>", "<eos>", "cat", "Käse", "gül"]
      case .characters: ["\0", "\n", " ", "a", "ز", "🙂"]
      case .bytes: []
      }
    let vocabulary = try Vocabulary(kind: tokenizer, entries: entries)
    let layout = ParameterLayout(configuration.model, vocabularySize: vocabulary.count)
    let parameters = try Parameters(layout)
    parameters.initialize(seed: 9)
    let slots = try Optimizer.slotNames(.adam).enumerated().map { index, name in
      let buffer = try FloatBuffer(layout.bufferCount)
      for view in layout.tensors { for place in view.range { buffer[place] = Float(place + index) / 3 } }
      return (name, buffer)
    }
    var progress = TrainingProgress()
    progress.step = step
    progress.best = 1.0 / 3
    var curves = Curves()
    curves.training = (1...3).map {
      TrainingPoint(
        step: $0, epoch: 1, tokens: $0 * 10, metrics: ["loss": 1 / Double($0), "perplexity": 2], learningRate: 0.1,
        gradientNorm: 0.5, tokensPerSecond: 100)
    }
    curves.partial.steps = 2
    curves.partial.loss = 1.0 / 3
    curves.validation = [ValidationPoint(step: 3, epoch: 1, metrics: ["loss": 0.7, "perplexity": 2.01])]
    var results = RunResults()
    results.test = ["loss": 0.9, "perplexity": exp(0.9)]
    results.best = ["loss": 1.0 / 3, "perplexity": exp(1.0 / 3)]
    results.add([
      Sample(step: 3, temperature: 0.5, seed: .max, stream: 1, prompt: "a", text: "b\nc \u{1F642}")
    ])
    var corpus = CorpusIdentity()
    corpus.fingerprint = "abc"
    corpus.trainingTokens = 1 << 40
    let floats = 2 * NetworkPlan.stateFloats(of: configuration.model)
    return Checkpoint(
      card: ModelMetadata(
        configuration: configuration, vocabulary: vocabulary, progress: progress, results: results, corpus: corpus,
        provenance: Provenance(program: "0", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 2)),
      parameters: parameters, optimizerSlots: slots, rowStates: (0..<floats).map { Float($0) * 0.1 },
      curves: curves)
  }

  @Test(arguments: TokenizerKind.allCases)
  func everythingReadsBackExactly(tokenizer: TokenizerKind) throws {
    let folder = try TemporaryFolder()
    let written = try checkpoint(tokenizer: tokenizer)
    try written.save(to: folder.file("a.h5"))
    let read = try CheckpointFile(folder.file("a.h5"))
    #expect(read.card.configuration == written.card.configuration)
    #expect(read.card.progress == written.card.progress)
    #expect(read.card.vocabulary == written.card.vocabulary)
    #expect(read.card.results == written.card.results)
    #expect(read.card.provenance == written.card.provenance)
    #expect(read.card.corpus == written.card.corpus)
    #expect(try read.readCurves() == written.curves)
    #expect(try read.readRowStates() == written.rowStates)
    let parameters = try Parameters(read.card.parameterLayout)
    try read.readParameters(into: parameters)
    #expect(Array(parameters.buffer.values) == Array(written.parameters.buffer.values))
    for slot in written.optimizerSlots {
      let buffer = try FloatBuffer(slot.buffer.count)
      try read.readOptimizer(slot: slot.name, into: buffer, layout: parameters.layout)
      #expect(Array(buffer.values) == Array(slot.buffer.values))
    }
  }

  @Test func equalCheckpointsAreEqualFiles() throws {
    let folder = try TemporaryFolder()
    for name in ["a.h5", "b.h5"] { try checkpoint().save(to: folder.file(name)) }
    let files = try ["a.h5", "b.h5"].map { try Data(contentsOf: URL(fileURLWithPath: folder.file($0))) }
    #expect(files[0] == files[1])
  }

  @Test func curvesReadBack() throws {
    let folder = try TemporaryFolder()
    let curves = try checkpoint().curves
    try curves.save(to: folder.file("curves.h5"))
    #expect(try Curves(path: folder.file("curves.h5")) == curves)
    try Curves().save(to: folder.file("curves.h5"))
    #expect(try Curves(path: folder.file("curves.h5")) == Curves())
    expectError("\"checkpoint\"", "\"curves\"") { _ = try CheckpointFile(folder.file("curves.h5")) }
  }

  @Test func whatIsMissingOrMisshapenIsNamed() throws {
    let folder = try TemporaryFolder()
    let writer = try HDF5Writer(kind: "checkpoint", formatVersion: 1)
    try writer.save(to: folder.file("empty.h5"))
    expectError("/vocabulary") { _ = try CheckpointFile(folder.file("empty.h5")) }

    try checkpoint().save(to: folder.file("a.h5"))
    let other = ParameterLayout(ModelConfiguration(embeddingSize: 4, hiddenSizes: [4, 5]), vocabularySize: 5)
    expectError("/parameters/embedding", "[5, 4]", "[5, 3]") {
      try CheckpointFile(folder.file("a.h5")).readParameters(into: Parameters(other))
    }
  }

  @Test func newerFormatsAreRefused() throws {
    let folder = try TemporaryFolder()
    let writer = try HDF5Writer(kind: "checkpoint", formatVersion: 99)
    try writer.save(to: folder.file("new.h5"))
    expectError("99") { _ = try CheckpointFile(folder.file("new.h5")) }
  }

  @Test func everyDamageIsRefused() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try checkpoint().save(to: path)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    var random = SeededRandom(seed: 3)
    // Each place of the file once at least, as far as 5,000 go; then random ones.
    for flip in 0..<max(5000, bytes.count) {
      var damaged = bytes
      damaged[flip < bytes.count ? flip : .random(in: bytes.indices, using: &random)] ^= .random(
        in: 1...255, using: &random)
      try write(damaged, to: path)
      #expect(throws: HDF5Error.self, "flip \(flip)") { try CheckpointFile(path) }
    }
    for cut in 0..<200 {
      let length = cut < 100 ? bytes.count * cut / 100 : bytes.count - (cut - 99)
      try write(Array(bytes.prefix(length)), to: path)
      #expect(throws: HDF5Error.self, "\(length) bytes") { try CheckpointFile(path) }
    }
    try write(bytes, to: path)
    #expect(throws: Never.self) { try CheckpointFile(path) }
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  @Test func theNewestWholeOneIsFound() throws {
    let folder = try TemporaryFolder()
    let store = CheckpointStore(folder.file("run"))
    #expect(try store.newest { _, _ in }?.path == nil)
    try FileSystem.createDirectory(store.directory)
    for step in [0, 5, 12, 100] { _ = try store.save(checkpoint(step: step)) }
    #expect(try store.steps() == [0, 5, 12, 100])
    #expect(try store.newest { _, _ in }?.card.progress.step == 100)

    // A flipped byte, then a file cut short: each is told and passed over.
    var bytes = try Data(contentsOf: URL(fileURLWithPath: store.path(step: 100)))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: store.path(step: 100)))
    try bytes.prefix(1000).write(to: URL(fileURLWithPath: store.path(step: 12)))
    var damaged: [String] = []
    #expect(try store.newest { path, _ in damaged.append(path) }?.card.progress.step == 5)
    #expect(damaged == [store.path(step: 100), store.path(step: 12)])

    for step in [0, 5] { try Data().write(to: URL(fileURLWithPath: store.path(step: step))) }
    #expect(throws: CheckpointError.noneValid(directory: store.directory, damaged: 4)) {
      try store.newest { _, _ in }
    }
  }

  @Test func oneProcessHasARun() throws {
    let folder = try TemporaryFolder()
    let store = CheckpointStore(folder.file("run"))
    let first = try store.take()
    #expect(throws: CheckpointError.inUse(directory: store.directory)) { try store.take(patience: 0.1) }
    withExtendedLifetime(first) {}
  }

  @Test func whatInterruptedSavesLeftIsRemoved() throws {
    let folder = try TemporaryFolder()
    try folder.write("step-00000001.h5.partial-1", "x")
    let lock = try CheckpointStore(folder.path).take()
    #expect(try FileSystem.list(folder.path) == ["lock"])
    withExtendedLifetime(lock) {}
  }

  @Test func newerAndUnreadableOnesAreNotPassedOver() throws {
    let folder = try TemporaryFolder()
    let store = CheckpointStore(folder.path)
    _ = try store.save(checkpoint(step: 1))
    let writer = try HDF5Writer(kind: "checkpoint", formatVersion: 99)
    try writer.save(to: store.path(step: 2))
    expectError("99") { _ = try store.newest { _, _ in } }
  }

  /// What has a checkpoint's name, or nearly, and is none of this run's.
  @Test func oddOnesAreToldAndPassedOver() throws {
    let folder = try TemporaryFolder()
    let store = CheckpointStore(folder.path)
    for step in [1, 2] { _ = try store.save(checkpoint(step: step)) }
    try FileManager.default.copyItem(atPath: store.path(step: 1), toPath: store.path(step: 9999))
    try FileSystem.createDirectory(store.path(step: 10_000))
    #expect(mkfifo(store.path(step: 10_001), 0o600) == 0)
    try FileManager.default.createSymbolicLink(
      atPath: store.path(step: 10_002), withDestinationPath: folder.file("nowhere"))
    let odd = ["step--5.h5", "step-5.h5", "step-+0000005.h5", "step-000000005.h5", "step-0x000005.h5", "step-.h5"]
    for name in odd { try folder.write(name, "x") }

    var passedOver: [String] = []
    #expect(try store.newest { _, error in passedOver.append("\(error)") }?.card.progress.step == 2)
    try #require(passedOver.count == 4)
    for error in passedOver.prefix(3) { #expect(error.contains("expected a file")) }
    #expect(passedOver[3].contains("step-00009999.h5") && passedOver[3].contains("found that of step 1"))
    #expect(try store.steps() == [1, 2, 9999])

    // They are neither counted nor removed.
    _ = try store.save(checkpoint(step: 20_000))
    try store.prune(keep: 1, newest: 20_000, keeping: [], passedOver: [store.path(step: 9999)])
    #expect(try store.steps() == [9999, 20_000])
    #expect(try odd.allSatisfy(FileSystem.list(folder.path).contains))
    let aside = try #require(try store.setAside(step: 9999))
    #expect(try store.setAside(step: 9999) == nil && FileSystem.isFile(aside))
    #expect(try store.steps() == [20_000])
  }

  @Test func theLastAndTheBestAreKept() throws {
    let folder = try TemporaryFolder()
    let store = CheckpointStore(folder.path)
    for step in [0, 5, 12, 100] { _ = try store.save(checkpoint(step: step)) }
    try store.prune(keep: 0, newest: 100, keeping: [])
    #expect(try store.steps() == [0, 5, 12, 100])
    try store.prune(keep: 2, newest: 100, keeping: [5])
    #expect(try store.steps() == [5, 12, 100])
    // A budget takes the oldest, but never the best or the newest.
    for step in [5, 12, 50, 100] { _ = try store.save(checkpoint(step: step)) }
    func bytes(_ steps: [Int]) throws -> Int {
      try steps.reduce(0) { try $0 + FileSystem.status(store.path(step: $1)).size }
    }
    let (size, three, two) = (try bytes([5]), try bytes([5, 50, 100]), try bytes([5, 100]))
    #expect(try store.prune(keep: 0, newest: 100, keeping: [5], budget: 3 * size + size / 2) == three)
    #expect(try store.steps() == [5, 50, 100])
    #expect(try store.prune(keep: 3, newest: 100, keeping: [5], budget: 10) == two)
    #expect(try store.steps() == [5, 100])
    _ = try store.save(checkpoint(step: 12))
    // A later one that was passed over neither counts nor goes.
    try store.prune(keep: 1, newest: 12, keeping: [])
    #expect(try store.steps() == [12, 100])
  }

  @Test func otherFilesAreLeftAlone() throws {
    let folder = try TemporaryFolder()
    for name in ["step-x.h5", "step-00000001.h5.partial-1", "notes.txt"] { try folder.write(name, "x") }
    let store = CheckpointStore(folder.path)
    #expect(try store.steps() == [])
    try store.prune(keep: 1, newest: 9, keeping: [])
    #expect(try FileSystem.list(folder.path).count == 3)
  }
}
