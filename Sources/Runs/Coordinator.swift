import Training

/// What all ranks do next.
enum Directive: Codable, Equatable {
  /// One more step.
  case train
  /// Close the epoch that is complete, with an evaluation of the validation text or without.
  case finishEpoch(evaluate: Bool)
  /// Evaluate the validation text in the middle of an epoch.
  case evaluate
  /// Write samples.
  case generate
  case checkpoint
  /// The run is over: test, sample, save.
  case finish
  /// Save and end, to be gone on with.
  case stop(reason: String)
}

/// Decides what comes next, on the first rank, which tells the others. A value that is given all it looks at: it knows
/// no clock, no rank and no file.
///
/// Asked again after each directive, it says `train` when nothing else is left to do before the next step.
struct Coordinator {
  /// Where a run stands between two steps.
  struct Moment: Equatable {
    var step = 0
    /// Epochs completed.
    var epoch = 0
    /// Whether no step has been made in the epoch under way.
    var isBetweenEpochs = true
    /// Whether the epoch under way has no step left.
    var epochIsComplete = false
    /// Whether the run has come to its end.
    var isFinished = false
    /// After which step validation was best; nil before the first evaluation.
    var bestStep: Int?
    /// Since some beginning.
    var seconds = 0.0
    /// Why the run should stop.
    var stopReason: String?
  }

  /// When something was last done.
  private struct Last {
    var step: Int?
    var seconds = 0.0
  }

  private let schedule: CoordinatorConfiguration
  private let hasValidation: Bool
  private var evaluation = Last()
  private var generation = Last()
  private var checkpoint = Last()

  /// A run that begins or goes on at `moment`; the steps say when each thing was last done, nil for never.
  init(
    _ schedule: CoordinatorConfiguration, hasValidation: Bool, at moment: Moment, evaluated: Int?, generated: Int?,
    saved: Int?
  ) {
    self.schedule = schedule
    self.hasValidation = hasValidation
    evaluation = Last(step: evaluated, seconds: moment.seconds)
    generation = Last(step: generated, seconds: moment.seconds)
    checkpoint = Last(step: saved, seconds: moment.seconds)
  }

  /// In this order: what belongs to the step just made, then the run's end, then a stop, then training.
  mutating func next(at moment: Moment) -> Directive {
    let now = Last(step: moment.step, seconds: moment.seconds)
    if moment.epochIsComplete {
      // As it will be when the epoch is closed.
      var closed = moment
      closed.epoch += 1
      closed.isBetweenEpochs = true
      let evaluates = hasValidation && isDue(schedule.evaluate, evaluation, closed)
      if evaluates { evaluation = now }
      return .finishEpoch(evaluate: evaluates)
    }
    if hasValidation, isDue(schedule.evaluate, evaluation, moment) {
      evaluation = now
      return .evaluate
    }
    if isDue(schedule.generate, generation, moment) {
      generation = now
      return .generate
    }
    // The best is kept, so it has to be there.
    let isBest = moment.bestStep == moment.step && moment.step > 0
    let isUnsaved = checkpoint.step != moment.step
    if isUnsaved, isBest || moment.stopReason != nil || isDue(schedule.checkpoint, checkpoint, moment) {
      checkpoint = now
      return .checkpoint
    }
    if moment.isFinished { return .finish }
    if let reason = moment.stopReason { return .stop(reason: reason) }
    return .train
  }

  private func isDue(_ intervals: [Interval], _ last: Last, _ moment: Moment) -> Bool {
    guard moment.step > 0, last.step != moment.step else { return false }
    return intervals.contains {
      switch $0 {
      case .steps(let count): moment.step.isMultiple(of: count)
      case .epochs(let count): moment.isBetweenEpochs && moment.epoch.isMultiple(of: count)
      case .seconds(let seconds): moment.seconds - last.seconds >= seconds
      }
    }
  }
}
