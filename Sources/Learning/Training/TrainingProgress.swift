/// Progress of a run. With parameters, optimizer slots and lane states, it is all that a resume needs.
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
  /// Best value so far of the metric that decides, and after how many epochs and steps it was seen.
  public var best: Double?
  public var bestEpoch = 0
  public var bestStep = 0
  /// Epochs with an evaluation at their end since it last improved.
  public var epochsSinceBest = 0
  /// Epochs since it last improved or the rate was last reduced.
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

  /// The model as it was after so many steps and complete epochs is the best so far.
  mutating func takeBest(_ value: Double, step: Int, epoch: Int) {
    best = value
    bestEpoch = epoch
    bestStep = step
    // The end of this epoch, which has improved, brings them to 0.
    plateauEpochs = -1
    epochsSinceBest = -1
  }

  /// Counts an epoch, whose value has been looked at, for patience and plateau.
  mutating func countEpoch(_ schedule: ScheduleConfiguration) {
    plateauEpochs += 1
    epochsSinceBest += 1
    guard schedule.kind == .plateau, plateauEpochs > schedule.patience else { return }
    reductions += 1
    plateauEpochs = 0
  }

  private enum CodingKeys: String, CodingKey {
    case step, epoch, stepInEpoch, tokens, skippedSteps
    // As format 1 has it, in which a loss decides.
    case best = "bestLoss"
    case bestEpoch, bestStep, epochsSinceBest, plateauEpochs, reductions, finished, origin, pendingEvaluation
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
  /// Of this step, on all ranks.
  public let targets: Int
  /// Mean loss of the step's targets on all ranks, in nats, before the update.
  public let loss: Double
  /// Norm of the gradient as the optimizer would have seen it without clipping.
  public let gradientNorm: Double
  public let learningRate: Double
  /// Whether the update was left out, because loss or gradient was not a number.
  public let isSkipped: Bool
  /// Sums over all ranks of what each noted.
  public let notes: [Double]
}
