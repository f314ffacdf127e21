import Checkpoints
import Corpus
import Foundation
import Networks
import Tasks
import Training

/// The loop of a run: the first rank's coordinator decides, all ranks obey.
final class RunLoop {
  let configuration: RunConfiguration
  let group: any RankGroup
  let reporter: any Reporter
  let corpus: PreparedCorpus
  let task: any LearningTask
  let learner: any Learner
  let store: CheckpointStore
  /// On the first rank.
  let saver: CheckpointSaver?

  private let interruption: Interruption
  let cancellation: CancellationToken
  /// On the first rank, if somebody watches.
  private let control: (any RunControl)?
  /// The ranks set aside, on the first rank; and whether there are any, on all.
  let pool: EvaluatorPool?
  let hasEvaluators: Bool
  /// Of them, on the first rank.
  private var found: [EvaluatorResult] = []
  private var failure: String?
  private let validation: (any Evaluating)?
  private let test: (any Evaluating)?
  let clock = ContinuousClock()
  let begun: ContinuousClock.Instant

  var curves = Curves()
  var results = RunResults()
  var pace: Pace
  var saves = RunEvent.SaveCounts()
  /// Seconds for which training stood still since a save had to wait for the one before, in all and when last told.
  var savesWaited = 0.0
  var savesWaitedTold = 0.0
  /// The newest checkpoint that is safe, on the first rank.
  var lastSaved: Int?
  /// Of the newest checkpoint, on the first rank.
  var saveFailure: (any Error)?
  /// A step whose evaluation on schedule is under way elsewhere: its checkpoint may be the best.
  var underEvaluation: Int? { learner.progress.pendingEvaluation?.step }
  /// Of another rank than the first, or of what was given up.
  private var stopReason: String?
  /// Whether the run's end was begun and given up, and whether ranks set aside have given something up.
  private var endIsGivenUp = false
  private var taskIsGivenUp = false
  private var pendingCommands = PendingCommands()
  private let scheduler: GenerationScheduler
  /// Of texts under way: when they were asked for, and for how long training has stood still for texts since.
  private var writing: [Int: (begun: ContinuousClock.Instant, paused: Double, step: Int)] = [:]
  private var ranks: RankPaces
  private var stragglers: Stragglers
  /// Of all ranks, those set aside included.
  private let hosts: [String]
  private let writer: SampleWriter
  /// Where copies of checkpoints go.
  let folder: RunFolder

  init(
    _ configuration: RunConfiguration, group: any RankGroup, reporter: any Reporter, interruption: Interruption,
    cancellation: CancellationToken, control: (any RunControl)?, pool: EvaluatorPool?, hosts: [String],
    folder: RunFolder,
    corpus: PreparedCorpus, task: any LearningTask, learner: any Learner, validation: (any Evaluating)?,
    test: (any Evaluating)?
  ) {
    self.configuration = configuration
    self.group = group
    self.reporter = reporter
    self.interruption = interruption
    self.cancellation = cancellation
    self.control = control
    self.pool = pool
    self.hosts = hosts
    self.folder = folder
    hasEvaluators = configuration.coordinator.evaluators > 0
    self.corpus = corpus
    self.task = task
    self.learner = learner
    pace = Pace(task.measures.training, targetsPerStep: learner.targetsPerStep)
    curves.trainingMetrics = task.measures.training.map(\.metric)
    curves.validationMetrics = task.measures.evaluation.map(\.metric)
    self.validation = validation
    self.test = test
    store = CheckpointStore("\(configuration.output.directory)/\(configuration.name)")
    saver = group.isFirst ? CheckpointSaver(store, configuration.output) : nil
    begun = clock.now
    let tokenizer = Tokenizer(vocabulary: corpus.vocabulary)
    scheduler = GenerationScheduler(task, tokenizer, learner.parameters, group: group)
    writer = SampleWriter(configuration, task, tokenizer, learner.parameters, group: group, cancellation: cancellation)
    ranks = RankPaces(group)
    stragglers = Stragglers(
      ratio: configuration.output.stragglerRatio,
      lanes: (0..<group.count).map { evenChunk($0, of: group.count, in: configuration.training.batchSize).count },
      hosts: hosts)
  }

  /// Tells whoever watches how the run stands before its first step. All ranks take part.
  func introduce() throws {
    let yaml = try ConfigurationReader.yaml(of: configuration)
    _ = try group.onFirst {
      try control?.runBegins(
        RunBeginning(
          name: configuration.name, directory: store.directory, configuration: yaml, hosts: hosts,
          evaluators: configuration.coordinator.evaluators,
          parameters: learner.parameters.layout.parameterCount, totalSteps: learner.totalSteps,
          epochs: configuration.training.epochs, progress: learner.progress, metrics: task.measures.metrics,
          told: task.measures.told, best: results.best, curves: curves, samples: results.samples))
    }
  }

  /// From where the run stands to its end, or until it is stopped.
  func run() throws -> RunOutcome {
    let wasFinished = learner.progress.finished != nil
    if results.isComplete {
      try drainReplication(seconds: Self.copySeconds, abandons: true)
      reporter.report(.finished(summary(trained: false)))
      return .finished
    }
    try resumeEvaluation()
    var coordinator = Coordinator(
      configuration.coordinator, hasValidation: validation != nil, at: try moment(),
      evaluated: underEvaluation ?? curves.validation.last?.step,
      generated: results.samples.last?.step, saved: learner.progress.step)
    while true {
      try moveCopies()
      let directive = try agree {
        try listen()
        return coordinator.next(at: try moment())
      }
      control?.runDoes(directive.activity)
      group.does(directive.activity.rawValue, step: learner.progress.step, isResting: directive == .pause)
      do {
        guard let outcome = try obey(directive, coordinator) else { continue }
        if outcome == .finished { reporter.report(.finished(summary(trained: !wasFinished))) }
        return outcome
      } catch let stop as StopRequest {
        // What took long was given up, on all ranks: it is saved as it was before, and done again when resumed.
        stopReason = stop.reason
        endIsGivenUp = directive == .finish
      }
    }
  }

  /// Does what all ranks do next; says how the run has ended, if it has. Throws `StopRequest` on every rank where it was
  /// given up.
  private func obey(_ directive: Directive, _ coordinator: Coordinator) throws -> RunOutcome? {
    switch directive {
    case .train: try step()
    case .finishEpoch(let evaluates): try finishEpoch(evaluates: evaluates)
    case .evaluate: try evaluate()
    case .generate: try generate()
    case .checkpoint: try save()
    case .answer(let request): try answer(request)
    case .write(let orders, let abandoned): try write(orders, abandoned: abandoned)
    case .take(let result): take(result)
    case .waitForEvaluators: _ = try group.onFirst { try pool?.waitForMessages(cancellation.look).forEach(hear) }
    case .pause:
      try drainReplication(seconds: Self.hurriedCopySeconds, abandons: false)
      _ = try group.onFirst { try rest(coordinator) }
    case .fail(let message): throw RunError.failed(message)
    case .finish:
      try finish()
      try drainReplication(seconds: Self.copySeconds, abandons: true)
      return .finished
    case .stop(let reason):
      try saveForLater()
      try drainReplication(seconds: Self.hurriedCopySeconds, abandons: true)
      reporter.report(
        .interrupted(reason: reason, step: learner.progress.step, checkpoint: store.path(step: learner.progress.step)))
      return .interrupted
    }
    return nil
  }

  /// What the first rank decides, on every rank. Nothing is said for `train`, which is nearly always.
  private func agree(_ decide: () throws -> Directive) throws -> Directive {
    let own = group.isFirst ? try decide() : .train
    let said = try group.broadcast(own == .train ? [] : Array(JSONEncoder().encode(own)))
    return said.isEmpty ? .train : try JSONDecoder().decode(Directive.self, from: Data(said))
  }

  private func moment() throws -> Coordinator.Moment {
    let progress = learner.progress
    return Coordinator.Moment(
      step: progress.step, epoch: progress.epoch, isBetweenEpochs: progress.stepInEpoch == 0,
      epochIsComplete: learner.epochIsComplete, isFinished: progress.finished != nil,
      bestStep: progress.best == nil ? nil : progress.bestStep, seconds: (clock.now - begun) / .seconds(1),
      stopReason: interruption.reason ?? pendingCommands.stopReason ?? stopReason, endIsGivenUp: endIsGivenUp,
      taskIsGivenUp: taskIsGivenUp,
      requests: pendingCommands.requests,
      abandoned: pendingCommands.abandoned, isWriting: !scheduler.isEmpty || pool?.hasTexts == true,
      isPaused: pendingCommands.isPaused,
      hasEvaluators: hasEvaluators, evaluatorsAreBusy: try pool?.isBusy() ?? false,
      evaluatorsAreIdle: pool?.isIdle ?? true, found: found, failure: failure)
  }

  /// Takes note of what is wanted; what was wanted and is not done stays.
  private func listen() throws {
    try pool?.messages().forEach(hear)
    guard let new = control?.pendingCommands() else { return }
    pendingCommands.requests += new.requests
    pendingCommands.abandoned += new.abandoned
    let abandoned = pendingCommands.abandoned
    pendingCommands.requests.removeAll {
      if case .generate(let order) = $0 { abandoned.contains(order.id) } else { false }
    }
    pendingCommands.isPaused = new.isPaused
    pendingCommands.stopReason = new.stopReason
  }

  /// Waits, asleep, until something else than a pause is due. The first rank looks alone: agreeing with the others that
  /// there is nothing, ten times a second or for every status that is asked for, would keep it busy.
  private func rest(_ coordinator: Coordinator) throws {
    while true {
      control?.waitForCommands()
      try listen()
      var coordinator = coordinator  // what this copy decides is decided again with all ranks
      if coordinator.next(at: try moment()) != .pause { return }
    }
  }

  // MARK: - What is done

  private func step() throws {
    pace.stepBegins()
    ranks.stepBegins()
    let report = try learner.step(
      notes: [interruption.reason == nil ? 0 : 1, Double(Interruption.signal)] + ranks.notes)
    if report.isSkipped {
      reporter.report(
        .warning(
          "step \(report.step) was skipped: its loss or gradient is not a finite number (\(learner.progress.skippedSteps) "
            + "skipped so far; \(Trainer.mostSkippedSteps) in a row end the run)"))
    }
    pace.stepEnds(report, every: configuration.output.curveSteps) { append($0) }
    let left = pace.isKnown ? Double(learner.totalSteps - report.step) * pace.secondsPerStep : .nan
    reporter.report(
      .step(
        RunEvent.StepSummary(
          step: report.step, totalSteps: learner.totalSteps, epoch: report.epoch,
          epochs: configuration.training.epochs, tokens: report.tokens,
          metrics: pace.metrics(ofLoss: report.loss), learningRate: report.learningRate,
          gradientNorm: report.gradientNorm,
          tokensPerSecond: pace.tokensPerSecond, secondsLeft: left, skippedSteps: learner.progress.skippedSteps)))
    let (asked, signals) = (report.notes[0], report.notes[1])
    if asked > 0 { stopReason = Interruption.reason(ofRanks: asked, signals: signals) }
    if var paces = ranks.stepEnds(seconds: pace.lastSeconds, notes: report.notes.dropFirst(2)) {
      let warning = stragglers.hear(&paces, at: clock.now)
      control?.ranksPace(paces)
      if let warning { reporter.report(.warning(warning)) }
    }
    reportSaves()
  }

  private func finishEpoch(evaluates: Bool) throws {
    try learner.checkParameters()
    // Away with them the value comes later, and is told then.
    let tallies = evaluates && !hasEvaluators ? try measure(validation) : nil
    learner.finishEpoch()
    let progress = learner.progress
    flushCurve()
    let evaluation = EvaluationTask(part: .validation, step: progress.step, epoch: progress.epoch, isEndOfEpoch: true)
    let point = tallies.map { observe($0, of: evaluation) }
    if evaluates { try handOver(evaluation) }
    let (training, tokensPerSecond, seconds, missingSteps) = pace.epochEnds()
    reporter.report(
      .epoch(
        RunEvent.EpochSummary(
          epoch: progress.epoch, epochs: configuration.training.epochs, step: progress.step,
          training: training, missingSteps: missingSteps, validation: point?.metrics ?? [:],
          isBest: point != nil && learner.progress.bestStep == progress.step,
          tokensPerSecond: tokensPerSecond, seconds: seconds)))
  }

  private func evaluate() throws {
    try learner.checkParameters()
    let progress = learner.progress
    // Between two epochs it is the one of the epoch before, which a break came in the way of.
    let evaluation = EvaluationTask(
      part: .validation, step: progress.step, epoch: progress.epoch, isEndOfEpoch: progress.stepInEpoch == 0)
    try handOver(evaluation)
    guard !hasEvaluators, let tallies = try measure(validation) else { return }
    let point = observe(tallies, of: evaluation)
    reporter.report(.validation(point, isBest: learner.progress.bestStep == point.step))
  }

  /// To the evaluators, if there are any.
  private func handOver(_ evaluation: EvaluationTask) throws {
    guard hasEvaluators else { return }
    learner.awaits(
      TrainingProgress.PendingEvaluation(
        step: evaluation.step, epoch: evaluation.epoch, isEndOfEpoch: evaluation.isEndOfEpoch))
    try pool?.hand(.evaluate(evaluation), learner.parameters)
  }

  /// Takes note of an evaluation on schedule, on every rank that trains.
  private func observe(_ tallies: [Double], of evaluation: EvaluationTask) -> ValidationPoint {
    let metrics = task.measures.evaluation.values(of: tallies)
    learner.observe(
      task.measures.evaluation[0].value(tallies), step: evaluation.step, epoch: evaluation.epoch,
      isEndOfEpoch: evaluation.isEndOfEpoch)
    if learner.progress.bestStep == evaluation.step { results.best = metrics }
    let point = ValidationPoint(step: evaluation.step, epoch: evaluation.epoch, metrics: metrics)
    curves.append(point)
    return point
  }

  /// What the evaluators tell, on the first rank: what all have to know waits for its directive.
  private func hear(_ message: EvaluatorMessage) {
    switch message {
    case .result(let result): found.append(result)
    case .pieces(let pieces): deliver(pieces)
    case .failed(let message): failure = message
    case .stopped(let reason):
      stopReason = reason
      taskIsGivenUp = true
    case .ended: break
    }
  }

  private func take(_ result: EvaluatorResult) {
    if !found.isEmpty { found.removeFirst() }
    switch result {
    case .evaluation(let evaluation, let tallies, let seconds):
      if let id = evaluation.request {
        let metrics = allMetrics(of: tallies)
        control?.answer(id, .evaluated(metrics, step: evaluation.step, seconds: seconds, pausedSeconds: 0))
        return
      }
      learner.awaits(nil)
      let point = observe(tallies, of: evaluation)
      reporter.report(.validation(point, isBest: learner.progress.bestStep == point.step))
    case .samples(let samples): add(samples)
    }
  }

  /// An evaluation on schedule, or at the end of the run.
  private func measure(_ evaluator: (any Evaluating)?) throws -> [Double]? {
    let goOn = cancellation.patiently()
    let tallies = try evaluator?.tallies(
      progress: { [reporter] in
        reporter.report(.evaluating(done: $0, total: $1))
        try goOn()
      }, waiting: cancellation.look)
    if let tallies { try task.measures.requireFinite(tallies, step: learner.progress.step) }
    return tallies
  }

  private func allMetrics(of tallies: [Double]) -> [String: Double] {
    (task.measures.evaluation + task.measures.details).values(of: tallies)
  }

  private func append(_ point: TrainingPoint) {
    curves.append(point)
    reporter.report(.curve(point))
  }

  func flushCurve() { pace.flush { append($0) } }

  /// Does what somebody has asked for, or hands it to the evaluators.
  private func answer(_ request: RunRequest) throws {
    pendingCommands.requests.removeAll { $0 == request }
    let begin = clock.now
    switch request {
    case .evaluate(let id, let part):
      guard let evaluator = part == .validation ? validation : test else {
        control?.answer(id, .failed("the corpus has no \(part.rawValue) part; expected one in corpus.\(part.rawValue)"))
        return
      }
      if hasEvaluators {
        let evaluation = EvaluationTask(
          part: part, step: learner.progress.step, epoch: learner.progress.epoch, request: id)
        try pool?.hand(.evaluate(evaluation), learner.parameters)
        return
      }
      let goOn = cancellation.patiently()
      let tallies: [Double]
      do {
        tallies = try evaluator.tallies(progress: { _, _ in try goOn() }, waiting: cancellation.look)
      } catch let stop as StopRequest {
        control?.answer(id, .failed("the run is being stopped (\(stop.reason)); ask again when it has been resumed"))
        throw stop
      }
      let seconds = (clock.now - begin) / .seconds(1)
      control?.answer(
        id,
        .evaluated(
          allMetrics(of: tallies), step: learner.progress.step, seconds: seconds, pausedSeconds: seconds))
    case .checkpoint(let id):
      try save()
      let failure = try settleSaves()
      let path = store.path(step: learner.progress.step)
      control?.answer(id, failure.map { .failed("\($0)") } ?? .saved(step: learner.progress.step, path: path))
    case .generate: preconditionFailure("texts are written on, not answered at once")
    }
  }

  /// Training stands still for so long at most for one slice of writing, between two steps.
  static var sliceSeconds: Double { 0.05 }

  private func write(_ orders: [GenerationOrder], abandoned: [Int]) throws {
    pendingCommands.requests.removeAll { if case .generate(let order) = $0 { orders.contains(order) } else { false } }
    pendingCommands.abandoned.removeAll()
    let begin = clock.now
    if control != nil {
      for order in orders { writing[order.id] = (begin, 0, learner.progress.step) }
    }
    for id in abandoned { writing[id] = nil }
    if hasEvaluators {
      try pool?.hand(.write(orders, abandoned: abandoned), learner.parameters)
      return
    }
    let pieces = try scheduler.write(orders, abandoned: abandoned, seconds: Self.sliceSeconds)
    let seconds = (clock.now - begin) / .seconds(1)
    for id in writing.keys { writing[id]?.paused += seconds }
    deliver(pieces)
  }

  private func deliver(_ pieces: [GenerationScheduler.Piece]) {
    for piece in pieces {
      guard let text = writing[piece.id] else { continue }
      for text in piece.texts { control?.answer(piece.id, .text(text)) }
      if let error = piece.error { control?.answer(piece.id, .failed(error)) }
      if piece.isComplete {
        control?.answer(
          piece.id,
          .written(
            step: text.step, tokens: piece.tokens, seconds: (clock.now - text.begun) / .seconds(1),
            pausedSeconds: text.paused))
      }
      if piece.error != nil || piece.isComplete { writing[piece.id] = nil }
    }
  }

  /// Test and samples, and the checkpoint that has them.
  private func finish() throws {
    flushCurve()
    try learner.checkParameters()
    if let tallies = try measure(test) {
      results.test = task.measures.evaluation.values(of: tallies)
      reporter.report(.test(allMetrics(of: tallies)))
    }
    add(try writer.write(step: learner.progress.step))
    results.isComplete = true
    _ = try settleSaves()  // the last epoch's
    try save()
    try finishSaving()
  }

  private func generate() throws {
    try pool?.hand(.sample(step: learner.progress.step), learner.parameters)
    if !hasEvaluators { add(try writer.write(step: learner.progress.step)) }
  }

  private func add(_ samples: [Sample]) {
    results.add(samples)
    for sample in samples { reporter.report(.sample(sample)) }
  }

  private func summary(trained: Bool) -> RunEvent.FinishSummary {
    let progress = learner.progress
    let last = curves.validation.last
    return RunEvent.FinishSummary(
      trained: trained, reason: progress.finished?.rawValue ?? "", checkpoint: store.path(step: progress.step),
      epochs: progress.epoch, steps: progress.step, stepsPerEpoch: learner.stepsPerEpoch,
      validation: last?.metrics ?? [:], validationEpoch: last?.epoch, source: task.source,
      bestEpoch: progress.bestEpoch,
      bestCheckpoint: progress.best != nil && progress.bestStep != progress.step
        ? store.path(step: progress.bestStep) : nil,
      test: results.test,
      trainingSeconds: pace.trainingSeconds, saves: saves)
  }
}

extension Directive {
  fileprivate var activity: RunActivity {
    switch self {
    case .train: .training
    case .finishEpoch, .evaluate, .answer(.evaluate): .evaluating
    case .generate, .write, .answer(.generate): .generating
    case .checkpoint, .answer(.checkpoint): .saving
    case .take: .training
    case .waitForEvaluators, .finish: .evaluating
    case .pause: .paused
    case .stop, .fail: .stopping
    }
  }
}
