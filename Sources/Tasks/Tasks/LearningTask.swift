import Corpus
import Inference
import Networks
import Training

/// What is learned from what, on one rank: a run is handed one and knows nothing else of what it trains. A new task is a module
/// beside LanguageModeling, a case of `TaskKind` and a line of the registry.
public protocol LearningTask: AnyObject {
  static var kind: TaskKind { get }
  static var measures: Measures { get }

  /// Throws `ConfigurationError` for settings that such a corpus does not allow, and `CorpusError`.
  init(_ configuration: RunConfiguration, _ corpus: PreparedCorpus) throws

  /// Memory that one of so many learning ranks needs, before any is taken.
  func memory(ranks: Int, isFirst: Bool) -> MemoryEstimate
  /// Memory for a model, without its numbers. Throws `KernelError`.
  func makeParameters() throws -> Parameters
  /// All ranks of the group take part. Throws `ConfigurationError`, `CorpusError`, `KernelError`.
  func makeLearner(_ group: any RankGroup) throws -> any Learner
  /// For a part of the corpus, with whatever numbers the parameters have then; nil where the part has nothing to measure.
  /// `meanwhile` is called while files are checked, and may throw.
  func makeEvaluator(
    of part: CorpusPart, _ parameters: Parameters, _ group: any RankGroup, meanwhile: () throws -> Void
  ) throws -> (any Evaluating)?
  /// What text is written with, with the numbers that the parameters have now.
  func makePredictor(_ parameters: Parameters) throws -> any Predictor
  /// Metrics of the process that made the validation text, where that is known: no model does better.
  var source: [String: Double] { get }
}

extension LearningTask {
  public var measures: Measures { Self.measures }
}
