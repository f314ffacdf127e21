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
  /// Do what somebody has asked for: an evaluation or a checkpoint.
  case answer(RunRequest)
  /// Write on the texts that somebody has asked for, these new ones among them.
  case write([GenerationOrder], abandoned: [Int])
  /// Take note of what the evaluators have found.
  case take(EvaluatorResult)
  /// Wait, asleep, until the evaluators have found something.
  case waitForEvaluators
  /// Wait, asleep, until something else is wanted.
  case pause
  /// The evaluators have failed, and the run with them.
  case fail(String)
  /// The run is over: test, sample, save.
  case finish
  /// Save and end, to be gone on with.
  case stop(reason: String)
}

/// Decides what comes next, on the first rank, which tells the others. A value that is given all it looks at: it knows
/// no clock, no rank and no file.
///
/// Asked again after each directive, it says `train` when nothing else is left to do before the next step. Requests in
/// the moment are those not done yet: texts leave it with `write`, others with `answer`.
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
    /// Whether the run has ended.
    var isFinished = false
    /// After which step validation was best; nil before the first evaluation.
    var bestStep: Int?
    /// Since some beginning.
    var seconds = 0.0
    /// Why the run should stop.
    var stopReason: String?
    /// Whether the run's end, its test and samples, was begun and given up because of a stop.
    var endIsGivenUp = false
    /// Whether ranks set aside have given something up for it: then they begin nothing else.
    var taskIsGivenUp = false
    /// Asked for and not done yet, in order.
    var requests: [RunRequest] = []
    /// Texts that nobody waits for any more.
    var abandoned: [Int] = []
    /// Whether texts are being written.
    var isWriting = false
    var isPaused = false
    /// Whether some ranks are set aside to evaluate, whether a task would have to wait for them, whether they have
    /// anything to do, and what they have found or failed with.
    var hasEvaluators = false
    var evaluatorsAreBusy = false
    var evaluatorsAreIdle = true
    var found: [EvaluatorResult] = []
    var failure: String?

    /// A run that has come to its end is not stopped, but where that end takes long.
    var isToStop: Bool { stopReason != nil && (!isFinished || endIsGivenUp) }
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
  /// The step after which texts were last written on.
  private var writing: Int?

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

  /// In this order: what belongs to the step just made, a stop, what people have asked for, the run's end, then training.
  mutating func next(at moment: Moment) -> Directive {
    if let failure = moment.failure { return .fail(failure) }
    if let result = moment.found.first {
      if moment.stopReason != nil { checkpoint.step = nil }  // so that what is saved last has it
      return .take(result)
    }
    if let directive = scheduled(at: moment) { return directive }
    if let reason = moment.stopReason, moment.isToStop {
      return moment.evaluatorsAreBusy ? .waitForEvaluators : .stop(reason: reason)
    }
    let ready = moment.requests.first {
      switch $0 {
      case .checkpoint: true
      case .evaluate: !moment.evaluatorsAreBusy
      case .generate: false
      }
    }
    if let ready { return .answer(ready) }
    if let directive = texts(at: moment) { return directive }
    if moment.isFinished { return moment.evaluatorsAreIdle ? .finish : .waitForEvaluators }
    return moment.isPaused ? .pause : .train
  }

  /// What belongs to the step just made, each once.
  private mutating func scheduled(at moment: Moment) -> Directive? {
    let now = Last(step: moment.step, seconds: moment.seconds)
    if moment.epochIsComplete {
      // As it will be when the epoch is closed.
      var closed = moment
      closed.epoch += 1
      closed.isBetweenEpochs = true
      let evaluates = hasValidation && !moment.taskIsGivenUp && isDue(schedule.evaluate, evaluation, closed)
      if evaluates, moment.evaluatorsAreBusy { return .waitForEvaluators }
      if evaluates { evaluation = now }
      return .finishEpoch(evaluate: evaluates)
    }
    if hasValidation, !moment.taskIsGivenUp, isDue(schedule.evaluate, evaluation, moment) {
      if moment.evaluatorsAreBusy { return .waitForEvaluators }
      evaluation = now
      return .evaluate
    }
    if !moment.taskIsGivenUp, isDue(schedule.generate, generation, moment) {
      if moment.evaluatorsAreBusy { return .waitForEvaluators }
      generation = now
      return .generate
    }
    // The best is kept, so it has to be there; with evaluators it is not known yet.
    let mayBeBest = moment.bestStep == moment.step || (moment.hasEvaluators && evaluation.step == moment.step)
    let isBest = mayBeBest && moment.step > 0
    if checkpoint.step != moment.step, isBest || moment.isToStop || isDue(schedule.checkpoint, checkpoint, moment) {
      checkpoint = now
      return .checkpoint
    }
    return nil
  }

  /// One slice of writing between two steps, so that training goes on meanwhile; more where there are no steps.
  private mutating func texts(at moment: Moment) -> Directive? {
    let orders = moment.requests.compactMap { if case .generate(let order) = $0 { order } else { nil } }
    guard moment.isWriting || !orders.isEmpty, !moment.evaluatorsAreBusy, moment.stopReason == nil else { return nil }
    let isTold = !orders.isEmpty || !moment.abandoned.isEmpty
    let isSlice = !moment.hasEvaluators && (moment.isPaused || moment.isFinished || writing != moment.step)
    guard isTold || isSlice else { return nil }
    writing = moment.step
    return .write(orders, abandoned: moment.abandoned)
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
