import Checkpoints
import Corpus
import Foundation
import Model
import Training

/// The loop of a run: the first rank's coordinator decides, all ranks obey.
final class RunLoop {
  let configuration: RunConfiguration
  let group: any RankGroup
  let reporter: any Reporter
  let corpus: PreparedCorpus
  let trainer: Trainer<TokenReader>
  let store: CheckpointStore
  /// On the first rank.
  let saver: CheckpointSaver?

  private let interruption: Interruption
  /// On the first rank, if somebody watches.
  private let control: (any RunControl)?
  private let validation: Evaluator<TokenReader>?
  private let test: Evaluator<TokenReader>?
  private let clock = ContinuousClock()
  private let begun: ContinuousClock.Instant

  var curves = Curves()
  var results = RunResults()
  var pace = Pace()
  var saves = RunEvent.SaveCounts()
  /// Of another rank than the first.
  private var stopReason: String?
  private var wishes = RunWishes()
  private let desk: GenerationDesk
  /// Of texts under way: when they were asked for, and for how long training has stood still for texts since.
  private var writing: [Int: (begun: ContinuousClock.Instant, paused: Double, step: Int)] = [:]
  private var ranks: RankPaces

  init(
    _ configuration: RunConfiguration, group: any RankGroup, reporter: any Reporter, interruption: Interruption,
    control: (any RunControl)?, corpus: PreparedCorpus, trainer: Trainer<TokenReader>,
    validation: Evaluator<TokenReader>?,
    test: Evaluator<TokenReader>?
  ) {
    self.configuration = configuration
    self.group = group
    self.reporter = reporter
    self.interruption = interruption
    self.control = control
    self.corpus = corpus
    self.trainer = trainer
    self.validation = validation
    self.test = test
    store = CheckpointStore("\(configuration.output.directory)/\(configuration.name)")
    saver = group.isFirst ? CheckpointSaver(store, configuration.output) : nil
    begun = clock.now
    desk = GenerationDesk(
      configuration.model, Tokenizer(vocabulary: corpus.vocabulary), trainer.parameters, group: group)
    ranks = RankPaces(group)
  }

  /// Tells whoever watches how the run stands before its first step. All ranks take part.
  func introduce() throws {
    let hosts = try group.gather(Array(group.host.utf8)).map { String(decoding: $0, as: UTF8.self) }
    let yaml = try ConfigurationReader.yaml(of: configuration)
    _ = try group.onFirst {
      try control?.runBegins(
        RunBeginning(
          name: configuration.name, directory: store.directory, configuration: yaml, hosts: hosts,
          parameters: trainer.parameters.layout.parameterCount, totalSteps: trainer.totalSteps,
          epochs: configuration.training.epochs, progress: trainer.progress, curves: curves, samples: results.samples))
    }
  }

  /// From where the run stands to its end, or until it is stopped.
  func run() throws -> RunOutcome {
    let wasFinished = trainer.progress.finished != nil
    if results.isComplete {
      reporter.report(.finished(summary(trained: false)))
      return .finished
    }
    var coordinator = Coordinator(
      configuration.coordinator, hasValidation: validation != nil, at: moment, evaluated: curves.validation.last?.step,
      generated: results.samples.last?.step, saved: trainer.progress.step)
    while true {
      let directive = try agree {
        listen()
        return coordinator.next(at: moment)
      }
      control?.runDoes(directive.activity)
      switch directive {
      case .train: try step()
      case .finishEpoch(let evaluates): try finishEpoch(evaluates: evaluates)
      case .evaluate: try evaluate()
      case .generate: try generate()
      case .checkpoint: try save()
      case .answer(let request): try answer(request)
      case .write(let orders, let abandoned): try write(orders, abandoned: abandoned)
      case .pause: _ = try group.onFirst { control?.waitForWishes() }
      case .finish:
        try finish()
        reporter.report(.finished(summary(trained: !wasFinished)))
        return .finished
      case .stop(let reason):
        try finishSaving()
        reporter.report(
          .interrupted(
            reason: reason, step: trainer.progress.step, checkpoint: store.path(step: trainer.progress.step)))
        return .interrupted
      }
    }
  }

  /// What the first rank decides, on every rank. Nothing is said for `train`, which is nearly always.
  private func agree(_ decide: () -> Directive) throws -> Directive {
    let own = group.isFirst ? decide() : .train
    let said = try group.share(own == .train ? [] : Array(JSONEncoder().encode(own)))
    return said.isEmpty ? .train : try JSONDecoder().decode(Directive.self, from: Data(said))
  }

  private var moment: Coordinator.Moment {
    let progress = trainer.progress
    return Coordinator.Moment(
      step: progress.step, epoch: progress.epoch, isBetweenEpochs: progress.stepInEpoch == 0,
      epochIsComplete: trainer.epochIsComplete, isFinished: progress.finished != nil,
      bestStep: progress.bestLoss == nil ? nil : progress.bestStep, seconds: (clock.now - begun) / .seconds(1),
      stopReason: interruption.reason ?? wishes.stopReason ?? stopReason, requests: wishes.requests,
      abandoned: wishes.abandoned, isWriting: !desk.isEmpty, isPaused: wishes.isPaused)
  }

  /// Takes note of what is wanted; what was wanted and is not done stays.
  private func listen() {
    guard let new = control?.wishes() else { return }
    wishes.requests += new.requests
    wishes.abandoned += new.abandoned
    wishes.isPaused = new.isPaused
    wishes.stopReason = new.stopReason
  }

  // MARK: - What is done

  private func step() throws {
    pace.stepBegins()
    let report = try trainer.step(notes: [interruption.reason == nil ? 0 : 1] + ranks.notes)
    if report.isSkipped {
      reporter.report(
        .warning(
          "step \(report.step) was skipped: its loss or gradient is not a finite number (\(trainer.progress.skippedSteps) "
            + "skipped so far; \(Trainer<TokenReader>.mostSkippedSteps) in a row end the run)"))
    }
    pace.stepEnds(report, every: configuration.output.curveSteps) { append($0) }
    let left = pace.isKnown ? Double(trainer.totalSteps - report.step) * pace.secondsPerStep : .nan
    reporter.report(
      .step(
        RunEvent.StepSummary(
          step: report.step, totalSteps: trainer.totalSteps, epoch: report.epoch,
          epochs: configuration.training.epochs, tokens: report.tokens, loss: report.loss,
          perplexity: exp(report.loss), learningRate: report.learningRate, gradientNorm: report.gradientNorm,
          tokensPerSecond: pace.tokensPerSecond, secondsLeft: left, skippedSteps: trainer.progress.skippedSteps)))
    if report.notes[0] > 0 { stopReason = "another rank was asked to" }
    if let paces = ranks.stepEnds(seconds: pace.lastSeconds, notes: report.notes.dropFirst()) {
      control?.ranksPace(paces)
    }
    reportSaves()
  }

  private func finishEpoch(evaluates: Bool) throws {
    try trainer.checkParameters()
    let evaluation = evaluates ? try measure(validation) : nil
    trainer.finishEpoch(validationLoss: evaluation?.loss)
    let progress = trainer.progress
    flushCurve()
    if let evaluation { append(evaluation) }
    let (trainingLoss, tokensPerSecond, seconds) = pace.epochEnds()
    reporter.report(
      .epoch(
        RunEvent.EpochSummary(
          epoch: progress.epoch, epochs: configuration.training.epochs, step: progress.step,
          trainingLoss: trainingLoss, trainingPerplexity: exp(trainingLoss),
          validationLoss: evaluation?.loss, validationPerplexity: evaluation?.perplexity,
          isBest: evaluation != nil && progress.bestStep == progress.step,
          tokensPerSecond: tokensPerSecond, seconds: seconds)))
  }

  private func evaluate() throws {
    try trainer.checkParameters()
    guard let evaluation = try measure(validation) else { return }
    trainer.observe(validationLoss: evaluation.loss)
    let point = append(evaluation)
    reporter.report(.validation(point, isBest: trainer.progress.bestStep == trainer.progress.step))
  }

  private func measure(_ evaluator: Evaluator<TokenReader>?) throws -> Evaluation? {
    let evaluation = try evaluator?.evaluate { [reporter] in reporter.report(.evaluating(done: $0, total: $1)) }
    if let evaluation, !evaluation.loss.isFinite {
      throw TrainingError.diverged(step: trainer.progress.step, of: "the validation loss")
    }
    return evaluation
  }

  @discardableResult
  private func append(_ evaluation: Evaluation) -> ValidationPoint {
    let point = ValidationPoint(
      step: trainer.progress.step, epoch: trainer.progress.epoch, loss: evaluation.loss,
      perplexity: evaluation.perplexity)
    curves.validation.append(point)
    return point
  }

  private func append(_ point: TrainingPoint) {
    curves.training.append(point)
    reporter.report(.curve(point))
  }

  private func flushCurve() { pace.flush { append($0) } }

  /// Does what somebody has asked for, at once.
  private func answer(_ request: RunRequest) throws {
    wishes.requests.removeAll { $0 == request }
    let begin = clock.now
    switch request {
    case .evaluate(let id, let part):
      guard let evaluation = try (part == .validation ? validation : test)?.evaluate() else {
        control?.answer(id, .failed("the corpus has no \(part.rawValue) part; expected one in corpus.\(part.rawValue)"))
        return
      }
      let seconds = (clock.now - begin) / .seconds(1)
      control?.answer(
        id, .evaluated(evaluation, step: trainer.progress.step, seconds: seconds, pausedSeconds: seconds))
    case .checkpoint(let id):
      try save()
      try finishSaving()
      control?.answer(id, .saved(step: trainer.progress.step, path: store.path(step: trainer.progress.step)))
    case .generate: preconditionFailure("texts are written on, not answered at once")
    }
  }

  /// Training stands still for so long at most for one slice of writing, between two steps.
  private static var sliceSeconds: Double { 0.05 }

  private func write(_ orders: [GenerationOrder], abandoned: [Int]) throws {
    wishes.requests.removeAll { if case .generate(let order) = $0 { orders.contains(order) } else { false } }
    wishes.abandoned.removeAll()
    let begin = clock.now
    for order in orders { writing[order.id] = (begin, 0, trainer.progress.step) }
    for id in abandoned { writing[id] = nil }
    let pieces = try desk.write(orders, abandoned: abandoned, seconds: Self.sliceSeconds)
    let seconds = (clock.now - begin) / .seconds(1)
    for id in writing.keys { writing[id]?.paused += seconds }
    for piece in pieces {
      guard let text = writing[piece.id] else { continue }
      if !piece.text.isEmpty { control?.answer(piece.id, .text(piece.text)) }
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

  /// Test loss and samples, and the checkpoint that has them.
  private func finish() throws {
    flushCurve()
    try trainer.checkParameters()
    if let test, let evaluation = try measure(test) {
      results.testLoss = evaluation.loss
      reporter.report(
        .test(loss: evaluation.loss, perplexity: evaluation.perplexity, bitsPerToken: evaluation.bitsPerToken))
    }
    try generate()
    results.isComplete = true
    try save()
    try finishSaving()
  }

  /// One sample of every prompt and temperature; the ranks write some each.
  private func generate() throws {
    let settings = configuration.generation
    let tasks = settings.prompts.flatMap { prompt in settings.temperatures.map { (prompt, $0) } }
    let own = try group.together {
      try stride(from: group.rank, to: tasks.count, by: group.count).map { stream in
        let (prompt, temperature) = tasks[stream]
        let writer = try TextWriter(
          configuration.model, Tokenizer(vocabulary: corpus.vocabulary), trainer.parameters, prompt: prompt,
          SamplingSettings(temperature: temperature, seed: configuration.seed, stream: stream))
        return Sample(
          step: trainer.progress.step, temperature: temperature, seed: configuration.seed, stream: stream,
          prompt: prompt, text: try writer.write(settings.length))
      }
    }
    let all = try group.gather(Array(JSONEncoder().encode(own))).flatMap {
      try JSONDecoder().decode([Sample].self, from: Data($0))
    }
    let samples = all.sorted { $0.stream < $1.stream }
    results.add(samples)
    for sample in samples { reporter.report(.sample(sample)) }
  }

  private func summary(trained: Bool) -> RunEvent.FinishSummary {
    let progress = trainer.progress
    let part = corpus.manifest.parts.validation
    let last = curves.validation.last
    return RunEvent.FinishSummary(
      trained: trained, reason: progress.finished?.rawValue ?? "", checkpoint: store.path(step: progress.step),
      epochs: progress.epoch, steps: progress.step, stepsPerEpoch: trainer.stepsPerEpoch, validationLoss: last?.loss,
      validationPerplexity: last?.perplexity,
      validationEpoch: last?.epoch,
      sourcePerplexity: part.sourceNats.map { exp($0 / Double(part.tokens)) }, bestEpoch: progress.bestEpoch,
      bestCheckpoint: progress.bestLoss != nil && progress.bestStep != progress.step
        ? store.path(step: progress.bestStep) : nil,
      testLoss: results.testLoss, testPerplexity: results.testLoss.map { exp($0) },
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
    case .pause: .paused
    case .finish: .evaluating
    case .stop: .stopping
    }
  }
}
