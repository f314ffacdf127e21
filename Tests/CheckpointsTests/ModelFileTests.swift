import Corpus
import Files
import Foundation
import HDF5Files
import Kernels
import Networks
import TestSupport
import Testing
import Training

@testable import Checkpoints

@Suite struct ModelFileTests {
  private func model(_ kind: TokenizerKind = .words, scale: Float = 0.8) throws -> TrainedModel {
    var configuration = RunConfiguration()
    configuration.corpus.text = ["a.txt"]
    configuration.model = ModelConfiguration(embeddingSize: 3, hiddenSizes: [4, 5])
    configuration.model.initialization = Initialization(kind: .uniform, range: Double(scale))
    let entries: [String] =
      switch kind {
      case .words: ["<unk>", "<eos>", "cat", "Käse", "gül"]
      case .characters: ["\0", "\n", " ", "a", "ز", "🙂"]
      case .bytes: []
      }
    let vocabulary = try Vocabulary(kind: kind, entries: entries)
    var progress = TrainingProgress()
    progress.step = 12
    progress.best = 1.0 / 3
    var results = RunResults()
    results.test = ["loss": 2.0 / 3, "perplexity": exp(2.0 / 3)]
    results.best = ["loss": 1.0 / 3, "perplexity": exp(1.0 / 3)]
    let card = ModelMetadata(
      configuration: configuration, vocabulary: vocabulary, progress: progress, results: results,
      corpus: CorpusIdentity(),
      provenance: Provenance(program: "0", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 2))
    let parameters = try Parameters(card.parameterLayout)
    parameters.initialize(seed: 4)
    return TrainedModel(card: card, parameters: parameters)
  }

  private func numbers(_ model: TrainedModel) -> [UInt32] {
    model.parameters.layout.tensors.flatMap { model.parameters.buffer.values[$0.range].map(\.bitPattern) }
  }

  @Test(arguments: TokenizerKind.allCases)
  func everythingReadsBackExactly(kind: TokenizerKind) throws {
    let folder = try TemporaryFolder()
    let written = try model(kind)
    written.parameters.buffer[0] = -0.0
    try written.save(to: folder.file("a.h5"), precision: .single)
    let read = try TrainedModel(modelFile: folder.file("a.h5"))
    #expect(numbers(read) == numbers(written))
    #expect(read.card.configuration == written.card.configuration && read.card.vocabulary == written.card.vocabulary)
    #expect(read.card.progress == written.card.progress && read.card.results == written.card.results)
    #expect(read.card.provenance == written.card.provenance && read.card.corpus == written.card.corpus)
    // The same model, the same bytes.
    try read.save(to: folder.file("b.h5"), precision: .single)
    let files = try ["a.h5", "b.h5"].map { try Data(contentsOf: URL(fileURLWithPath: folder.file($0))) }
    #expect(files[0] == files[1])
  }

  @Test func halfPrecisionRoundsEachNumber() throws {
    let folder = try TemporaryFolder()
    let written = try model()
    try written.save(to: folder.file("a.h5"), precision: .half)
    let read = try TrainedModel(modelFile: folder.file("a.h5"))
    let expected = numbers(written).map { Float(Float16(Float(bitPattern: $0))).bitPattern }
    #expect(numbers(read) == expected && expected != numbers(written))
    let dump = try Programs.run("h5dump", ["-H", folder.file("a.h5")], in: folder.path)
    #expect(dump.output.contains("16-bit little-endian floating-point"), "\(dump.output) \(dump.error)")

    written.parameters.buffer[3] = 70_000
    #expect { try written.save(to: folder.file("b.h5"), precision: .half) } throws: {
      "\($0)".contains("embedding") && "\($0)".contains("65504")
    }
    #expect(!FileSystem.exists(folder.file("b.h5")))
  }

  @Test func rowsFindTheirTokens() throws {
    var model = try model()
    let before = model.parameters
    let order = [2, 0, 1, 4, 3]
    try model.reorder(rows: order)
    for name in ["embedding", "output.weight"] {
      for (row, source) in order.enumerated() {
        let (now, then) = (model.parameters.matrix(name), before.matrix(name))
        #expect((0..<now.columns).allSatisfy { now.row(row)[$0] == then.row(source)[$0] })
        #expect(model.parameters.matrix("output.bias").pointer[row] == before.matrix("output.bias").pointer[source])
      }
    }
    let layer = model.parameters.layout.tensor("lstm.1.weightHidden").range
    #expect(Array(model.parameters.buffer.values[layer]) == Array(before.buffer.values[layer]))
  }

  /// Every mutation that changes a byte is refused. Of more of them: `LOCKSTEP_MUTATIONS=50000 launch/test --filter
  /// ModelFileTests`.
  @Test func mutatedFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try model().save(to: path, precision: .single)
    let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    try forEachMutation(count: 2000) { number, mutator in
      let bytes = mutator.mutate(whole)
      if bytes == whole { return }
      try folder.write("a.h5", bytes)
      #expect(throws: HDF5Error.self, "mutation \(number)") { try TrainedModel(modelFile: path) }
    }
  }

  @Test func shapesThatTheFileCannotHoldAreRefused() throws {
    // A configuration that claims more than there is: nothing of that size is made.
    let folder = try TemporaryFolder()
    var card = try model().card
    card.configuration.model.hiddenSizes = [1 << 20, 1 << 20, 1 << 20]
    let writer = try HDF5Writer(kind: "model", formatVersion: 1)
    try card.write(to: writer)
    try writer.save(to: folder.file("huge.h5"))
    #expect { try TrainedModel(modelFile: folder.file("huge.h5")) } throws: { "\($0)".contains("huge.h5") }
  }
}
