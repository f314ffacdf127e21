/// Where a run stands: with parameters, optimizer slots and lane states, all that is needed to go on.
public struct TrainingProgress: Codable, Equatable, Sendable {
  /// Steps made, skipped ones included.
  public var step = 0
  /// Epochs completed.
  public var epoch = 0
  /// Steps made in the epoch that is under way.
  public var stepInEpoch = 0
  /// Tokens learned from, over all lanes.
  public var tokens = 0
  /// Steps without an update, because the loss or gradient was not a number.
  public var skippedSteps = 0
  /// Lowest validation loss so far, nats per token, and after how many epochs and steps it was seen.
  public var bestLoss: Double?
  public var bestEpoch = 0
  public var bestStep = 0
  /// Epochs with a validation at their end since it last improved.
  public var epochsSinceBest = 0
  /// Epochs since validation last improved or the rate was last reduced.
  public var plateauEpochs = 0
  /// How often a plateau has reduced the rate.
  public var reductions = 0
  /// Why the run is over; nil while it goes on.
  public var finished: FinishReason?
  /// Tells the run from another of the same name: when it was begun, and a random number. Empty where it was begun by a
  /// program that knew no such.
  public var origin = ""

  /// An evaluation on schedule that is under way on ranks set aside: it is made again where the run is resumed from here.
  public var pendingEvaluation: PendingEvaluation?

  public struct PendingEvaluation: Codable, Equatable, Sendable {
    /// Whose parameters are evaluated.
    public var step: Int
    /// Epochs completed then.
    public var epoch: Int
    public var isEndOfEpoch: Bool

    public init(step: Int, epoch: Int, isEndOfEpoch: Bool) {
      self.step = step
      self.epoch = epoch
      self.isEndOfEpoch = isEndOfEpoch
    }
  }

  public enum FinishReason: String, Codable, Sendable {
    case epochs
    case maximumSteps = "maximum-steps"
    case patience
  }

  public init() {}

  /// Takes note of a validation loss within an epoch, nats per token, of the model as it was after so many steps and
  /// complete epochs: it may be the best so far.
  mutating func observe(validationLoss: Double, step: Int, epoch: Int) {
    guard validationLoss < bestLoss ?? .infinity else { return }
    bestLoss = validationLoss
    bestEpoch = epoch
    bestStep = step
    // The end of this epoch, which has improved, brings them to 0.
    plateauEpochs = -1
    epochsSinceBest = -1
  }

  /// Takes note of the validation loss at the end of an epoch, which also counts for patience and plateau.
  mutating func closeEpoch(validationLoss: Double, step: Int, epoch: Int, schedule: ScheduleConfiguration) {
    observe(validationLoss: validationLoss, step: step, epoch: epoch)
    plateauEpochs += 1
    epochsSinceBest += 1
    guard schedule.kind == .plateau, plateauEpochs > schedule.patience else { return }
    reductions += 1
    plateauEpochs = 0
  }
}

/// What one step did.
public struct StepReport: Equatable, Sendable {
  /// Counted from 1 over the run.
  public let step: Int
  /// The epoch under way, from 1.
  public let epoch: Int
  /// Tokens learned from since the run began.
  public let tokens: Int
  /// Mean loss of the step's tokens on all ranks, nats per token, before the update.
  public let loss: Double
  /// Norm of the gradient as the optimizer would have seen it without clipping.
  public let gradientNorm: Double
  public let learningRate: Double
  /// Whether the update was left out, because loss or gradient was not a number.
  public let isSkipped: Bool
  /// Sums over all ranks of what each noted.
  public let notes: [Double]
}
