import Corpus
import Inference
import Networks
import Tasks
import Training

/// The next token of a text, from those before it.
public final class LanguageModelTask: LearningTask {
  public static let kind = TaskKind.languageModel
  public static let measures = Measures.ofLanguageModels

  private let configuration: RunConfiguration
  private let corpus: PreparedCorpus

  public init(_ configuration: RunConfiguration, _ corpus: PreparedCorpus) throws {
    self.configuration = configuration
    self.corpus = corpus
    for prompt in configuration.generation.prompts {
      _ = try Prompt(prompt.utf8).tokens(Tokenizer(vocabulary: corpus.vocabulary))
    }
    try requireValidation()
  }

  /// Some settings look at the validation text and would do nothing without one.
  private func requireValidation() throws {
    guard corpus.manifest.parts.validation.tokens < 2 else { return }
    for (key, isUsed) in [
      ("training.patience", configuration.training.patience > 0),
      ("schedule.kind", configuration.schedule.kind == .plateau),
    ] where isUsed {
      throw ConfigurationError(
        key: key, problem: "\(key) needs a validation text; expected one in corpus.validation or corpus.split")
    }
  }

  private var vocabularySize: Int { corpus.vocabulary.count }

  public func memory(ranks: Int, isFirst: Bool) -> MemoryEstimate {
    MemoryEstimate(
      configuration, vocabularySize: vocabularySize,
      lanes: evenChunk(0, of: ranks, in: configuration.training.batchSize).count, isFirst: isFirst)
  }

  public func makeParameters() throws -> Parameters {
    try Parameters(ParameterLayout(configuration.model, vocabularySize: vocabularySize))
  }

  public func makeLearner(_ group: any RankGroup) throws -> any Learner {
    try Trainer(configuration, vocabularySize: vocabularySize, source: corpus.part(.train), group: group)
  }

  public func makeEvaluator(
    of part: CorpusPart, _ parameters: Parameters, _ group: any RankGroup, meanwhile: () throws -> Void
  ) throws -> (any Evaluating)? {
    guard corpus.manifest.parts[part].tokens >= 2 else { return nil }
    return try Evaluator(
      configuration.model, vocabularySize: vocabularySize, parameters: parameters,
      source: corpus.part(part), lanes: configuration.evaluation.lanes,
      laneGroups: configuration.training.reproducible ? configuration.training.laneGroups : nil,
      sequenceLength: configuration.training.sequenceLength, group: group, meanwhile: meanwhile)
  }

  public func makePredictor(_ parameters: Parameters) throws -> any Predictor {
    try NetworkPredictor(configuration.model, vocabularySize: vocabularySize, parameters: parameters)
  }

  public var source: [String: Double] {
    let part = corpus.manifest.parts.validation
    return part.sourceNats.map { Self.measures.evaluation.values(of: [$0, Double(part.tokens)]) } ?? [:]
  }
}
