import Checkpoints
import Corpus
import Foundation
import Kernels
import Networks
import TestSupport
import Testing
import Training

@testable import Inference

/// Lines that are scored side by side have the scores that they have alone.
@Suite struct LineScorerTests {
  private static func model(_ configuration: ModelConfiguration) throws -> SavedModel {
    let vocabulary = try Vocabulary(kind: .words, entries: ["<unk>", "<eos>"] + (0..<40).map { "w\($0)" })
    let folder = try TemporaryFolder()
    var run = RunConfiguration()
    run.corpus.text = ["a.txt"]
    run.corpus.tokenizer = .words
    run.model = configuration
    run.model.initialization = Initialization(kind: .uniform, range: 0.6)
    let card = ModelMetadata(
      configuration: run, vocabulary: vocabulary, progress: TrainingProgress(), results: RunResults(),
      corpus: CorpusIdentity(),
      provenance: Provenance(program: "0", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 1))
    let parameters = try Parameters(card.parameterLayout)
    parameters.initialize(seed: 6)
    try TrainedModel(card: card, parameters: parameters).save(to: folder.file("a.h5"), precision: .single)
    return try SavedModel(folder.file("a.h5")) { _ in }
  }

  private static func windows() -> ModelConfiguration {
    var configuration = ModelConfiguration(embeddingSize: 6, hiddenSizes: [9])
    configuration.kind = .window
    return configuration
  }

  static let models =
    Cell.allCases.map { ModelConfiguration(cell: $0, embeddingSize: 6, hiddenSizes: [9, 7]) } + [windows()]

  /// Sentences of 1 to 60 words, more than are read at once, in no order.
  private static let lines: [String] = (0..<150).map { line in
    (0..<(line * 37 % 60 + 1)).map { "w\(($0 * 7 + line * 11) % 41)" }.joined(separator: " ")
  }

  private static func predictor(_ saved: SavedModel) throws -> NetworkPredictor {
    let model = try saved.network()
    return try NetworkPredictor(
      model.card.configuration.model, vocabularySize: saved.tokenizer.vocabulary.count, parameters: model.parameters)
  }

  @Test(arguments: models) func linesDoNotSeeEachOther(configuration: ModelConfiguration) throws {
    let model = try Self.model(configuration)
    let scorer = try LineScorer(model)
    let together = try scorer.score(Self.lines.map { (Array($0.utf8), "a line") }, withTokens: true)
    for (line, result) in zip(Self.lines, together) {
      let score = try result.get()
      // A word after the other, as where text is written.
      let predictor = try Self.predictor(model)
      let context = try predictor.makeContext()
      try predictor.advance(context, by: Vocabulary.endOfLine)
      #expect(score.tokens.count == line.split(separator: " ").count + 1)
      for token in score.tokens {
        let logits = try predictor.logits(after: context).map(Double.init)
        let largest = logits.max() ?? 0
        let expected = logits[Int(token.id)] - largest - log(logits.reduce(0) { $0 + exp($1 - largest) })
        #expect(abs(token.logProbability - expected) < 1e-5 * max(1, abs(expected)))
        try predictor.advance(context, by: token.id)
      }
      let alone = try scorer.score(Array(line.utf8), source: "a line", withTokens: false)
      #expect(abs(alone.logProbability - score.logProbability) < 1e-6 * abs(score.logProbability))
    }
  }

  @Test func aCopyOfAContextGoesItsOwnWay() throws {
    let predictor = try Self.predictor(Self.model(Self.models[0]))
    let context = try predictor.makeContext()
    try predictor.advance(context, by: 3)
    let copy = try predictor.copy(of: context)
    let before = Array(try predictor.logits(after: context))
    try predictor.advance(copy, by: 5)
    #expect(Array(try predictor.logits(after: context)) == before)
    #expect(Array(try predictor.logits(after: copy)) != before)
  }

  @Test func whatIsWrongWithALineIsItsOwn() throws {
    let scorer = try LineScorer(Self.model(Self.models[0]))
    let results = try scorer.score(
      [(Array("w1 w2".utf8), "line 1"), ([0xff], "line 2"), ([], "line 3")], withTokens: false)
    #expect(try results[0].get().predictions == 3 && results[2].get().predictions == 1)
    #expect(throws: CorpusError.self) { try results[1].get() }
  }
}
