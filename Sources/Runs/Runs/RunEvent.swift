import Checkpoints
import TaskMetrics
import Training

/// What a run tells whoever watches it. Every value is also a JSON line.
public enum RunEvent: Sendable {
  /// The run is new, and will be in this folder; the first event, where it is not `resumed`.
  case begins(name: String, directory: String)
  /// The configuration as it stands, as YAML.
  case configuration(String)
  case preparing(phase: String, done: Int, total: Int)
  case corpus(CorpusSummary)
  case model(ModelSummary)
  /// Something that people should know of, and that does not stop the run.
  case warning(String)
  /// The first event of a run that goes on.
  case resumed(name: String, path: String, step: Int, epoch: Int)
  /// The run begins with a trained model, which knows so many tokens of the vocabulary.
  case begunFrom(path: String, knownTokens: Int, vocabularySize: Int)
  case step(StepSummary)
  case evaluating(done: Int, total: Int)
  case epoch(EpochSummary)
  /// An evaluation of the validation text within an epoch.
  case validation(ValidationPoint, isBest: Bool)
  /// A row of the training curve; reporters have told of its steps.
  case curve(TrainingPoint)
  /// A checkpoint is safe.
  case saved(SaveSummary)
  /// It is also safe on another host.
  case copied(CopySummary)
  /// The newest checkpoint was brought from another host, which alone had it.
  case fetched(host: String, step: Int, path: String)
  /// Every host has the tokens that its ranks read.
  case distributed(DistributionSummary)
  /// Metrics of the test text, details included.
  case test([String: Double])
  case sample(Sample)
  case finished(FinishSummary)
  /// Stopped, after a step and with a checkpoint, or before the run has begun or been resumed.
  case interrupted(reason: String, step: Int?, checkpoint: String?)

  public struct CorpusSummary: Encodable, Equatable, Sendable {
    public let directory: String
    public let tokenizer: String
    public let vocabularySize: Int
    /// Texts that the tokens were made of.
    public let textFiles: Int
    public let trainingTokens: Int
    public let validationTokens: Int
    public let testTokens: Int
    /// Tokens of the training text that no step learns from.
    public let unusedTokens: Int
    /// `<unk>` in all parts.
    public let unknownTokens: Int
  }

  public struct ModelSummary: Encodable, Equatable, Sendable {
    public let parameters: Int
    /// Estimated, a rank.
    public let memoryBytes: Int
    public let ranks: Int
    public let threads: Int
    public let oneDNN: String
    public let instructionSet: String
    public let stepsPerEpoch: Int
    public let totalSteps: Int
  }

  public struct StepSummary: Encodable, Equatable, Sendable {
    public let step: Int
    public let totalSteps: Int
    public let epoch: Int
    public let epochs: Int
    public let tokens: Int
    /// Of the step.
    public let metrics: [String: Double]
    public let learningRate: Double
    public let gradientNorm: Double
    public let tokensPerSecond: Double
    public let secondsLeft: Double
    /// Steps without an update so far.
    public let skippedSteps: Int
  }

  public struct SaveSummary: Encodable, Equatable, Sendable {
    public let path: String
    public let step: Int
    /// For which training stood still.
    public let stalledSeconds: Double
    /// From then until the file was safe.
    public let seconds: Double
    /// Whether the save before was still being written.
    public let hadToWait: Bool
  }

  public struct CopySummary: Encodable, Equatable, Sendable {
    public let step: Int
    /// Where the copy is.
    public let host: String
    /// Sent; none where it was there already.
    public let bytes: Int
    public let seconds: Double
  }

  public struct DistributionSummary: Encodable, Equatable, Sendable {
    public struct Host: Encodable, Equatable, Sendable {
      public let host: String
      /// Where it has the tokens.
      public let directory: String
      /// Sent to it.
      public let bytes: Int
    }

    /// The host that has all of them.
    public let source: String
    public let hosts: [Host]
    /// Sent in all.
    public let bytes: Int
    /// Of the whole corpus.
    public let corpusBytes: Int
    public let seconds: Double
  }

  public struct EpochSummary: Encodable, Equatable, Sendable {
    public let epoch: Int
    public let epochs: Int
    public let step: Int
    /// Of its steps together.
    public let training: [String: Double]
    /// Steps of the epoch that these leave out: those made before the run was resumed from a
    /// checkpoint of a program that did not keep their sums.
    public let missingSteps: Int
    /// Empty where the epoch ended without an evaluation.
    public let validation: [String: Double]
    public let isBest: Bool
    public let tokensPerSecond: Double
    public let seconds: Double
  }

  /// How many checkpoints were saved since the program was started, how many had to wait for the one before, and how many
  /// could not be saved.
  public struct SaveCounts: Encodable, Equatable, Sendable {
    public var saved = 0
    public var delayed = 0
    public var failed = 0
  }

  public struct FinishSummary: Encodable, Equatable, Sendable {
    /// False when the run had been finished before.
    public let trained: Bool
    public let reason: String
    public let checkpoint: String
    public let epochs: Int
    public let steps: Int
    public let stepsPerEpoch: Int
    /// Of the last evaluation.
    public let validation: [String: Double]
    /// The epoch after which that was: before the last step, if the run ended within one.
    public let validationEpoch: Int?
    /// Of the process that made the validation text, where that is known.
    public let source: [String: Double]
    public let bestEpoch: Int
    /// The checkpoint of the best epoch, where it is not the last.
    public let bestCheckpoint: String?
    public let test: [String: Double]
    /// Spent on steps since the program was started.
    public let trainingSeconds: Double
    public let saves: SaveCounts
  }
}

extension RunEvent: Encodable {
  private enum Key: String, CodingKey {
    case event, configuration, phase, done, total, path, message, step, epoch, isBest
    case knownTokens, vocabularySize, host, name
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    switch self {
    case .begins(let name, let directory):
      try container.encode("begins", forKey: .event)
      try container.encode(name, forKey: .name)
      try container.encode(directory, forKey: .path)
    case .configuration(let yaml):
      try container.encode("configuration", forKey: .event)
      try container.encode(yaml, forKey: .configuration)
    case .preparing(let phase, let done, let total):
      try container.encode("preparing", forKey: .event)
      try container.encode(phase, forKey: .phase)
      try container.encode(done, forKey: .done)
      try container.encode(total, forKey: .total)
    case .corpus(let summary):
      try container.encode("corpus", forKey: .event)
      try summary.encode(to: encoder)
    case .model(let summary):
      try container.encode("model", forKey: .event)
      try summary.encode(to: encoder)
    case .warning(let message):
      try container.encode("warning", forKey: .event)
      try container.encode(message, forKey: .message)
    case .resumed(let name, let path, let step, let epoch):
      try container.encode("resumed", forKey: .event)
      try container.encode(name, forKey: .name)
      try container.encode(path, forKey: .path)
      try container.encode(step, forKey: .step)
      try container.encode(epoch, forKey: .epoch)
    case .begunFrom(let path, let knownTokens, let vocabularySize):
      try container.encode("begunFrom", forKey: .event)
      try container.encode(path, forKey: .path)
      try container.encode(knownTokens, forKey: .knownTokens)
      try container.encode(vocabularySize, forKey: .vocabularySize)
    case .step(let summary):
      try container.encode("step", forKey: .event)
      try summary.encode(to: encoder)
    case .evaluating(let done, let total):
      try container.encode("evaluating", forKey: .event)
      try container.encode(done, forKey: .done)
      try container.encode(total, forKey: .total)
    case .epoch(let summary):
      try container.encode("epoch", forKey: .event)
      try summary.encode(to: encoder)
    case .validation(let point, let isBest):
      try container.encode("validation", forKey: .event)
      try container.encode(point.step, forKey: .step)
      try encoder.encode(metrics: point.metrics)
      try container.encode(isBest, forKey: .isBest)
    case .curve(let point):
      try container.encode("curve", forKey: .event)
      try container.encode(point.step, forKey: .step)
      try encoder.encode(metrics: point.metrics)
    case .saved(let summary):
      try container.encode("saved", forKey: .event)
      try summary.encode(to: encoder)
    case .copied(let summary):
      try container.encode("copied", forKey: .event)
      try summary.encode(to: encoder)
    case .fetched(let host, let step, let path):
      try container.encode("fetched", forKey: .event)
      try container.encode(host, forKey: .host)
      try container.encode(step, forKey: .step)
      try container.encode(path, forKey: .path)
    case .distributed(let summary):
      try container.encode("distributed", forKey: .event)
      try summary.encode(to: encoder)
    case .test(let metrics):
      try container.encode("test", forKey: .event)
      try encoder.encode(metrics: metrics)
    case .sample(let sample):
      try container.encode("sample", forKey: .event)
      try sample.encode(to: encoder)
    case .finished(let summary):
      try container.encode("finished", forKey: .event)
      try summary.encode(to: encoder)
    case .interrupted(let reason, let step, let checkpoint):
      try container.encode("interrupted", forKey: .event)
      try container.encode(reason, forKey: .message)
      try container.encodeIfPresent(step, forKey: .step)
      try container.encodeIfPresent(checkpoint, forKey: .path)
    }
  }
}

// Metrics stand beside the other keys.

extension RunEvent.StepSummary {
  private enum CodingKeys: CodingKey {
    case step, totalSteps, epoch, epochs, tokens, learningRate, gradientNorm, tokensPerSecond, secondsLeft, skippedSteps
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(step, forKey: .step)
    try container.encode(totalSteps, forKey: .totalSteps)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(epochs, forKey: .epochs)
    try container.encode(tokens, forKey: .tokens)
    try encoder.encode(metrics: metrics)
    try container.encode(learningRate, forKey: .learningRate)
    try container.encode(gradientNorm, forKey: .gradientNorm)
    try container.encode(tokensPerSecond, forKey: .tokensPerSecond)
    try container.encode(secondsLeft, forKey: .secondsLeft)
    try container.encode(skippedSteps, forKey: .skippedSteps)
  }
}

extension RunEvent.EpochSummary {
  private enum CodingKeys: CodingKey { case epoch, epochs, step, missingSteps, isBest, tokensPerSecond, seconds }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(epochs, forKey: .epochs)
    try container.encode(step, forKey: .step)
    try encoder.encode(metrics: training, prefix: "training")
    try container.encode(missingSteps, forKey: .missingSteps)
    try encoder.encode(metrics: validation, prefix: "validation")
    try container.encode(isBest, forKey: .isBest)
    try container.encode(tokensPerSecond, forKey: .tokensPerSecond)
    try container.encode(seconds, forKey: .seconds)
  }
}

extension RunEvent.FinishSummary {
  private enum CodingKeys: CodingKey {
    case trained, reason, checkpoint, epochs, steps, stepsPerEpoch, validationEpoch, bestEpoch, bestCheckpoint
    case trainingSeconds, saves
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(trained, forKey: .trained)
    try container.encode(reason, forKey: .reason)
    try container.encode(checkpoint, forKey: .checkpoint)
    try container.encode(epochs, forKey: .epochs)
    try container.encode(steps, forKey: .steps)
    try container.encode(stepsPerEpoch, forKey: .stepsPerEpoch)
    try encoder.encode(metrics: validation, prefix: "validation")
    try container.encodeIfPresent(validationEpoch, forKey: .validationEpoch)
    try encoder.encode(metrics: source, prefix: "source")
    try container.encode(bestEpoch, forKey: .bestEpoch)
    try container.encodeIfPresent(bestCheckpoint, forKey: .bestCheckpoint)
    try encoder.encode(metrics: test, prefix: "test")
    try container.encode(trainingSeconds, forKey: .trainingSeconds)
    try container.encode(saves, forKey: .saves)
  }
}
