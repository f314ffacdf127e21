import Checkpoints
import Corpus
import Files
import Foundation
import Model
import Training

/// A trained model, from a checkpoint: to evaluate texts with and to write some.
public final class SavedModel {
  public let path: String
  public let configuration: RunConfiguration
  public let tokenizer: Tokenizer
  public let progress: TrainingProgress
  public let parameters: Parameters

  /// Opens a checkpoint, or the newest one in a run's folder. Throws what reading it throws.
  public init(_ path: String) throws {
    let file: CheckpointFile
    if try FileSystem.status(path).isDirectory {
      var problems: [String] = []
      let newest = try CheckpointStore(path).newest { problems.append("\($0): \($1)") }
      guard let newest else { throw CheckpointError.noneFound(directory: path) }
      for problem in problems { Console.error("warning: passed over \(problem)\n") }
      file = newest
    } else {
      file = try CheckpointFile(path)
    }
    self.path = file.path
    configuration = file.configuration
    tokenizer = Tokenizer(vocabulary: file.vocabulary)
    progress = file.progress
    parameters = try Parameters(file.parameterLayout)
    try file.readParameters(into: parameters)
  }

  /// Loss of a text file, and how many of its words the model does not know. `progress` is told windows done and in all.
  public func evaluate(
    textFile: String, lanes: Int, progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> (evaluation: Evaluation, unknownTokens: Int) {
    var tokens: [Int32] = []
    try tokenizer.encode(file: textFile) { tokens.append(contentsOf: $0) }
    do {
      let evaluation = try Evaluator(
        configuration.model, vocabularySize: tokenizer.vocabulary.count, parameters: parameters, source: tokens,
        lanes: lanes, sequenceLength: configuration.training.sequenceLength, group: SingleRank()
      ).evaluate(progress: progress)
      let isWords = tokenizer.vocabulary.kind == .words
      return (evaluation, isWords ? tokens.count { $0 == Vocabulary.unknown } : 0)
    } catch let error as CorpusError where tokens.count < 2 {
      throw CorpusError(textFile, error.problem, remedy: error.remedy)
    }
  }

  /// Writes `length` tokens after `prompt`, handing the bytes to `body` as they come.
  public func generate(
    prompt: String, length: Int, settings: SamplingSettings, _ body: ([UInt8]) throws -> Void
  ) throws {
    let writer = try TextWriter(configuration.model, tokenizer, parameters, prompt: prompt, settings)
    for _ in 0..<length { try body(writer.next()) }
  }
}
