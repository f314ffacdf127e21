import Corpus
import Foundation
import Kernels
import Networks
import Testing
import Training

@Suite struct EvaluatorTests {
  private let model = ModelConfiguration(embeddingSize: 6, hiddenSizes: [7])
  private let vocabularySize = 9
  private let text: [Int32] = (0..<101).map { Int32($0 * $0 % 9) }

  private func parameters() throws -> Parameters {
    let parameters = try Parameters(ParameterLayout(model, vocabularySize: vocabularySize))
    parameters.initialize(seed: 1)
    return parameters
  }

  private func evaluate(_ text: [Int32], lanes: Int, window: Int, group: any RankGroup = SingleRank()) throws
    -> Evaluation
  {
    try Evaluator(
      model, vocabularySize: vocabularySize, parameters: parameters(), source: text, lanes: lanes,
      sequenceLength: window, group: group
    ).evaluate()
  }

  @Test func everyTokenButTheFirstIsCounted() throws {
    let whole = try evaluate(text, lanes: 1, window: 100)
    #expect(whole.predictions == 100)
    // Windows are a matter of memory, not of the result.
    for window in [1, 7, 33, 250] {
      let found = try evaluate(text, lanes: 1, window: window)
      #expect(found.predictions == 100 && abs(found.nats - whole.nats) < 1e-4)
    }
    #expect(abs(whole.perplexity - exp(whole.loss)) < 1e-3)
  }

  /// What asks to stop ends it, at any window, and leaves nothing behind for the next time.
  @Test func itCanBeGivenUp() throws {
    let evaluator = try Evaluator(
      model, vocabularySize: vocabularySize, parameters: parameters(), source: text, lanes: 3, sequenceLength: 8,
      group: SingleRank())
    let whole = try evaluator.evaluate()
    for window in [1, 2, 5] {
      #expect(throws: StopRequest(reason: "asked")) {
        try evaluator.evaluate(progress: { done, _ in if done == window { throw StopRequest(reason: "asked") } })
      }
      #expect(try evaluator.evaluate() == whole)
    }
  }

  /// Three stretches from zero state are three texts, each begun with the last token of the one before.
  @Test func lanesAreStretchesFromZeroState() throws {
    let found = try evaluate(text, lanes: 3, window: 8)
    let layout = EvaluationLayout(tokens: text.count, lanes: 3)
    let parts = try (0..<3).map { lane in
      let predictions = layout.predictions(lane: lane)
      return try evaluate(Array(text[predictions.lowerBound - 1..<predictions.upperBound]), lanes: 1, window: 100)
    }
    #expect(parts.reduce(0) { $0 + $1.predictions } == found.predictions)
    #expect(abs(parts.reduce(0) { $0 + $1.nats } - found.nats) < 1e-4)
  }

  @Test func manyLanesAndFewTokensAreFine() throws {
    #expect(try evaluate([1, 2, 3], lanes: 8, window: 4).predictions == 2)
    #expect(throws: CorpusError.self) { try evaluate([1], lanes: 1, window: 4) }
    #expect(throws: CorpusError.self) { try evaluate([], lanes: 1, window: 4) }
  }
}
