import Checkpoints
import Corpus
import Files
import Foundation
import Kernels
import Model
import Training

/// What to do about checkpoints that are already in a run's folder.
public enum ResumePolicy: String, CaseIterable, Sendable {
  /// Go on from the newest that is whole; begin where there is none.
  case auto
  /// Refuse a folder that has any.
  case never
}

/// One run, from its configuration to a folder with a trained model, on however many ranks there are.
///
/// `start` is the whole of it, in order. What may fail on one rank alone runs inside `group.together`, so that
/// it fails on all.
public final class Run {
  let configuration: RunConfiguration
  let group: any RankGroup
  let reporter: any Reporter
  let resume: ResumePolicy
  let store: CheckpointStore

  var curves = Curves()
  var results = RunResults()
  var pace = Pace()

  /// `reporter` is used on the first rank only.
  public init(
    _ configuration: RunConfiguration, group: any RankGroup, reporter: any Reporter, resume: ResumePolicy
  ) {
    self.configuration = configuration
    self.group = group
    self.reporter = group.isFirst ? reporter : SilentReporter()
    self.resume = resume
    store = CheckpointStore("\(configuration.output.directory)/\(configuration.name)")
  }

  /// How a run ended.
  public enum Outcome: Sendable {
    case finished
    /// Stopped from outside, with a checkpoint to go on from.
    case interrupted
  }

  /// Trains, evaluates, saves and samples; returns when the run is finished or has been interrupted. An error of the
  /// world, a file or memory, is thrown on every rank.
  public func start() throws -> Outcome {
    let interruption = Interruption(timeLimit: configuration.training.timeLimit)
    reporter.report(.configuration(try ConfigurationReader.yaml(of: configuration)))
    let corpus = try openCorpus()
    let trainer = try makeTrainer(corpus)
    let validation = try evaluator(of: .validation, corpus, trainer)
    let test = try evaluator(of: .test, corpus, trainer)
    let lock = try group.onFirst { try store.take() }
    defer { withExtendedLifetime(lock) {} }
    try beginOrResume(trainer, corpus)
    report(corpus, trainer)

    let wasFinished = trainer.progress.finished != nil
    while trainer.progress.finished == nil {
      let mustStop = try step(trainer, interruption)
      if trainer.epochIsComplete { try finishEpoch(trainer, corpus, validation) }
      if mustStop && trainer.progress.finished == nil {
        try interrupt(trainer, corpus, interruption)
        return .interrupted
      }
    }
    if !results.isComplete {
      if !wasFinished { flushCurve() }
      try finish(trainer, corpus, test)
    }
    reporter.report(.finished(summary(trainer, corpus, trained: !wasFinished)))
    return .finished
  }

  // MARK: - The loop

  /// One step; says whether some rank has been asked to stop.
  private func step(_ trainer: Trainer<TokenReader>, _ interruption: Interruption) throws -> Bool {
    pace.stepBegins()
    let report = try trainer.step(stopRequested: interruption.reason != nil)
    if report.isSkipped {
      reporter.report(
        .warning(
          "step \(report.step) was skipped: its loss or gradient is not a finite number (\(trainer.progress.skippedSteps) "
            + "skipped so far; \(Trainer<TokenReader>.mostSkippedSteps) in a row end the run)"))
    }
    pace.stepEnds(report, every: configuration.output.curveSteps) { curves.training.append($0) }
    let left = pace.isKnown ? Double(trainer.totalSteps - report.step) * pace.secondsPerStep : .nan
    reporter.report(
      .step(
        RunEvent.StepSummary(
          step: report.step, totalSteps: trainer.totalSteps, epoch: report.epoch,
          epochs: configuration.training.epochs, tokens: report.tokens, loss: report.loss,
          perplexity: exp(report.loss), learningRate: report.learningRate, gradientNorm: report.gradientNorm,
          tokensPerSecond: pace.tokensPerSecond, secondsLeft: left)))
    return report.stopRequested
  }

  /// Saves where the run stands, for it to be gone on with.
  private func interrupt(
    _ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus, _ interruption: Interruption
  ) throws {
    if trainer.progress.stepInEpoch > 0 {  // else the epoch's end has just been saved
      try trainer.checkParameters()
      flushCurve()
      try save(trainer, corpus)
    }
    reporter.report(
      .interrupted(
        reason: interruption.reason ?? "another rank was asked to", step: trainer.progress.step,
        checkpoint: store.path(step: trainer.progress.step)))
  }

  private func finishEpoch(
    _ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus, _ validation: Evaluator<TokenReader>?
  ) throws {
    try trainer.checkParameters()
    let evaluation = try validation?.evaluate { [reporter] in reporter.report(.evaluating(done: $0, total: $1)) }
    if let evaluation, !evaluation.loss.isFinite {
      throw TrainingError.diverged(step: trainer.progress.step, of: "the validation loss")
    }
    trainer.finishEpoch(validationLoss: evaluation?.loss)
    let progress = trainer.progress
    flushCurve()
    if let evaluation {
      curves.validation.append(
        ValidationPoint(
          step: progress.step, epoch: progress.epoch, loss: evaluation.loss, perplexity: evaluation.perplexity))
    }
    try save(trainer, corpus)
    let (trainingLoss, tokensPerSecond, seconds) = pace.epochEnds()
    reporter.report(
      .epoch(
        RunEvent.EpochSummary(
          epoch: progress.epoch, epochs: configuration.training.epochs, step: progress.step,
          trainingLoss: trainingLoss, trainingPerplexity: exp(trainingLoss),
          validationLoss: evaluation?.loss, validationPerplexity: evaluation?.perplexity,
          isBest: evaluation != nil && progress.bestEpoch == progress.epoch,
          tokensPerSecond: tokensPerSecond, seconds: seconds)))
  }

  private func flushCurve() { pace.flush { curves.training.append($0) } }

  /// Test loss and samples, and the checkpoint that has them.
  private func finish(
    _ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus, _ test: Evaluator<TokenReader>?
  ) throws {
    try trainer.checkParameters()
    if let test {
      let evaluation = try test.evaluate { [reporter] in reporter.report(.evaluating(done: $0, total: $1)) }
      results.testLoss = evaluation.loss
      reporter.report(
        .test(
          loss: evaluation.loss, perplexity: evaluation.perplexity, bitsPerToken: evaluation.bitsPerToken))
    }
    results.samples = try group.onFirst { try sample(trainer, corpus) } ?? []
    for sample in results.samples { reporter.report(.sample(sample)) }
    results.isComplete = true
    try save(trainer, corpus)
  }

  private func sample(_ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus) throws -> [Sample] {
    let settings = configuration.generation
    return try settings.temperatures.enumerated().map { index, temperature in
      var text: [UInt8] = []
      try SavedModel.generate(
        configuration.model, Tokenizer(vocabulary: corpus.vocabulary), trainer.parameters,
        prompt: settings.prompt, length: settings.length, temperature: temperature, seed: configuration.seed,
        stream: index
      ) { text += $0 }
      return Sample(
        step: trainer.progress.step, temperature: temperature, prompt: settings.prompt,
        text: String(decoding: text, as: UTF8.self))
    }
  }

  // MARK: - What is told

  private func report(_ corpus: PreparedCorpus, _ trainer: Trainer<TokenReader>) {
    let parts = corpus.manifest.parts
    reporter.report(
      .corpus(
        RunEvent.CorpusSummary(
          directory: corpus.directory, tokenizer: corpus.vocabulary.kind.rawValue,
          vocabularySize: corpus.vocabulary.count, trainingTokens: parts.train.tokens,
          validationTokens: parts.validation.tokens, testTokens: parts.test.tokens,
          unusedTokens: trainer.unusedTokens,
          unknownTokens: parts.all.reduce(0) { $0 + $1.unknownTokens })))
    reporter.report(
      .model(
        RunEvent.ModelSummary(
          parameters: trainer.parameters.layout.parameterCount,
          memoryBytes: memoryEstimate(vocabularySize: corpus.vocabulary.count).bytes,
          ranks: group.count, threads: OneDNN.threads, oneDNN: OneDNN.version,
          instructionSet: OneDNN.instructionSet, stepsPerEpoch: trainer.stepsPerEpoch,
          totalSteps: trainer.totalSteps)))
  }

  private func summary(
    _ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus, trained: Bool
  ) -> RunEvent.FinishSummary {
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
      trainingSeconds: pace.trainingSeconds)
  }
}
