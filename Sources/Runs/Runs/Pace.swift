import Checkpoints
import Foundation
import Training

/// Times the steps of a run and averages them: to a point of the training curve, to an epoch, to the speed
/// that time left is guessed from. The training loop itself knows no clock.
struct Pace {
  private let measures: [Measure]
  private let targetsPerStep: Int
  private let clock = ContinuousClock()
  private var begun: ContinuousClock.Instant?
  /// Sums of the training curve's next point; a resumed run continues them.
  var point = PartialPoint()
  private var epoch = PartialPoint()
  /// Steps of the epoch that are not in its sums: see `resume`.
  private var missingSteps = 0
  private var last: StepReport?
  private var timedSteps = 0
  private(set) var trainingSeconds = 0.0
  /// Of the last step.
  private(set) var lastSeconds = 0.0
  /// Moving averages over about the last fifty steps.
  private(set) var secondsPerStep = 0.0
  /// Whether enough steps have been timed to guess from.
  var isKnown: Bool { timedSteps >= 3 }
  private(set) var tokensPerSecond = 0.0

  /// With a learner's metrics of training, and its `targetsPerStep`.
  init(_ measures: [Measure], targetsPerStep: Int) {
    self.measures = measures
    self.targetsPerStep = targetsPerStep
  }

  /// Goes on with the sums of a checkpoint that was saved after so many steps of an epoch. Those of the epoch may be lacking.
  mutating func resume(_ curves: Curves, stepInEpoch: Int) {
    point = curves.partial
    epoch = curves.epoch ?? PartialPoint()
    missingSteps = curves.epoch == nil ? stepInEpoch : 0
  }

  /// Of the epoch under way, to be resumed with; nil where some of its steps are missing.
  var epochSums: PartialPoint? { missingSteps > 0 ? nil : epoch }

  mutating func stepBegins() { begun = clock.now }

  /// `emit` is handed a point of the curve after every `every` steps.
  mutating func stepEnds(_ report: StepReport, every: Int, _ emit: (TrainingPoint) -> Void) {
    guard let begun else { preconditionFailure("a step ends that did not begin") }
    let seconds = (clock.now - begun) / .seconds(1)
    let tokens = report.targets
    trainingSeconds += seconds
    lastSeconds = seconds
    // The first step, which warms everything up, counts only until there is a second.
    timedSteps += 1
    secondsPerStep += max(0.02, timedSteps < 3 ? 1 : 1 / Double(timedSteps - 1)) * (seconds - secondsPerStep)
    tokensPerSecond = Double(tokens) / secondsPerStep
    point.add(report, targetsPerStep, seconds: seconds)
    // A skipped step has no loss to average; its own point of the curve says so.
    if !report.isSkipped { epoch.add(report, targetsPerStep, seconds: seconds) }
    last = report
    if point.steps == every { flush(emit) }
  }

  /// Hands out the point under way, if it has steps.
  mutating func flush(_ emit: (TrainingPoint) -> Void) {
    guard point.steps > 0, let last else { return }
    emit(
      TrainingPoint(
        step: last.step, epoch: last.epoch, tokens: last.tokens, metrics: metrics(ofLoss: meanLoss(of: point)),
        learningRate: last.learningRate, gradientNorm: point.gradientNorm / Double(point.steps),
        tokensPerSecond: Double(point.tokens) / point.seconds))
    point = PartialPoint()
  }

  /// Of a mean training loss.
  func metrics(ofLoss loss: Double) -> [String: Double] { measures.values(of: [loss, 1]) }

  /// By steps of the usual size, not by targets: the sum of equal steps' losses is then divided by their number.
  private func meanLoss(of sums: PartialPoint) -> Double {
    sums.tokens > 0 ? sums.loss / (Double(sums.tokens) / Double(targetsPerStep)) : sums.loss
  }

  /// Metrics, speed and time of the epoch's steps, and how many are missing in them.
  mutating func epochEnds() -> (
    metrics: [String: Double], tokensPerSecond: Double, seconds: Double, missingSteps: Int
  ) {
    defer {
      epoch = PartialPoint()
      missingSteps = 0
    }
    return (
      metrics(ofLoss: meanLoss(of: epoch)), Double(epoch.tokens) / epoch.seconds, epoch.seconds, missingSteps
    )
  }
}

extension PartialPoint {
  fileprivate mutating func add(_ report: StepReport, _ targetsPerStep: Int, seconds: Double) {
    steps += 1
    loss += report.loss * (Double(report.targets) / Double(targetsPerStep))
    gradientNorm += report.gradientNorm
    tokens += report.targets
    self.seconds += seconds
  }
}
