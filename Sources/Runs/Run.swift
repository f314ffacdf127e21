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
  private let configuration: RunConfiguration
  private let group: any RankGroup
  private let reporter: any Reporter
  private let resume: ResumePolicy
  private let store: CheckpointStore

  private var curves = Curves()
  private var results = RunResults()
  private var pace = Pace()

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

  /// Trains, evaluates, saves and samples; returns when the run is finished. Throws the same on every rank.
  public func start() throws {
    reporter.report(.configuration(try ConfigurationReader.yaml(of: configuration)))
    let corpus = try openCorpus()
    let trainer = try makeTrainer(corpus)
    let validation = try evaluator(of: .validation, corpus, trainer)
    try beginOrResume(trainer, corpus)
    report(corpus, trainer)

    let wasFinished = trainer.progress.finished != nil
    while trainer.progress.finished == nil {
      try step(trainer)
      if trainer.epochIsComplete { try finishEpoch(trainer, corpus, validation) }
    }
    if !results.isComplete {
      if !wasFinished { flushCurve() }
      try finish(trainer, corpus)
    }
    reporter.report(.finished(summary(trainer, corpus, trained: !wasFinished)))
  }

  // MARK: - Corpus and model

  /// Rank 0 prepares the text if that has to be done; the others wait, asleep, and open what it made.
  private func openCorpus() throws -> PreparedCorpus {
    let prepared = Result {
      group.isFirst
        ? try CorpusPreparation.open(configuration.corpus) { [reporter] progress in
          reporter.report(
            .preparing(phase: progress.phase.rawValue, done: progress.done, total: progress.total))
        } : nil
    }
    try group.waitForAll()
    let own = try group.together { try prepared.get() }
    let directory = String(decoding: try group.gather(Array((own?.directory ?? "").utf8))[0], as: UTF8.self)
    return try group.together { try own ?? PreparedCorpus(directory: directory) }
  }

  private func makeTrainer(_ corpus: PreparedCorpus) throws -> Trainer<TokenReader> {
    if configuration.training.threads > 0 { OneDNN.setThreads(configuration.training.threads) }
    let hosts = try group.gather(Array(group.host.utf8))
    let ranksHere = hosts.count { $0 == hosts[group.rank] }
    return try group.together {
      let source = corpus.part(.train)
      try checkMemory(vocabularySize: corpus.vocabulary.count, ranksHere: ranksHere)
      let trainer = try Trainer(
        configuration, vocabularySize: corpus.vocabulary.count, source: source, group: group)
      // Token files are verified when first mapped: now, rather than in the middle of an epoch on one rank.
      try trainer.verifyTokens()
      return trainer
    }
  }

  private func checkMemory(vocabularySize: Int, ranksHere: Int) throws {
    let needed = memoryEstimate(vocabularySize: vocabularySize).bytes
    let available = MachineMemory.available()
    let (together, overflow) = needed.multipliedReportingOverflow(by: ranksHere)
    if overflow || together > available {
      throw TrainingError.tooLittleMemory(
        needed: overflow ? .max : together, available: available, ranks: ranksHere)
    }
    if needed > MachineMemory.ownLimit() {
      throw TrainingError.tooLittleMemory(needed: needed, available: MachineMemory.ownLimit(), ranks: 1)
    }
  }

  private func memoryEstimate(vocabularySize: Int) -> MemoryEstimate {
    MemoryEstimate(
      configuration, vocabularySize: vocabularySize,
      lanes: group.ownLanes(of: configuration.training.batchSize).count)
  }

  private func evaluator(
    of part: CorpusPart, _ corpus: PreparedCorpus, _ trainer: Trainer<TokenReader>
  ) throws -> Evaluator<TokenReader>? {
    guard corpus.manifest.parts[part].tokens >= 2 else { return nil }
    return try group.together {
      try Evaluator(
        configuration.model, vocabularySize: corpus.vocabulary.count, parameters: trainer.parameters,
        source: corpus.part(part), lanes: configuration.evaluation.lanes,
        sequenceLength: configuration.training.sequenceLength, group: group)
    }
  }

  // MARK: - Beginning and resuming

  private func beginOrResume(_ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus) throws {
    let file = try group.together { group.isFirst ? try findCheckpoint(corpus) : nil }
    // Only rank 0 has read the file: it tells the others what they need beside the tensors, which are broadcast.
    let state: ResumeState? = try group.together {
      guard let file else { return nil }
      try file.readParameters(into: trainer.parameters)
      for slot in trainer.optimizer.slots {
        try file.readOptimizer(slot: slot.name, into: slot.buffer, layout: trainer.parameters.layout)
      }
      curves = try file.readCurves()
      results = file.results
      return ResumeState(
        progress: file.progress, results: file.results, laneStates: try file.readLaneStates())
    }
    let message = try group.gather(state.map { try Array(JSONEncoder().encode($0)) } ?? [])[0]
    guard !message.isEmpty else {
      try trainer.begin()
      return try save(trainer, corpus)
    }
    let shared = try JSONDecoder().decode(ResumeState.self, from: Data(message))
    results = shared.results
    try trainer.restore(shared.progress, laneStates: shared.laneStates)
    if let file {
      reporter.report(.resumed(path: file.path, step: file.progress.step, epoch: file.progress.epoch))
    }
    // More epochs than it was finished with: there is more to train, and then to test and to sample.
    if trainer.progress.finished == nil { results = RunResults() }
  }

  private struct ResumeState: Codable {
    let progress: TrainingProgress
    let results: RunResults
    let laneStates: [Float]
  }

  private func findCheckpoint(_ corpus: PreparedCorpus) throws -> CheckpointFile? {
    let file = try store.newest { path, error in
      reporter.report(.damaged(path: path, problem: "\(error)"))
    }
    guard let file else { return nil }
    if resume == .never { throw RunError.folderIsNotEmpty(store.directory) }
    for (key, value) in RunConfiguration.fixedSettings {
      let (before, now) = (value(file.configuration), value(configuration))
      if before != now {
        throw CheckpointError.otherRun(directory: store.directory, key: key, before: before, now: now)
      }
    }
    guard file.corpusFingerprint == corpus.manifest.fingerprint else {
      throw CheckpointError.otherRun(
        directory: store.directory, key: "a corpus with fingerprint", before: file.corpusFingerprint,
        now: corpus.manifest.fingerprint)
    }
    return file
  }

  // MARK: - The loop

  private func step(_ trainer: Trainer<TokenReader>) throws {
    pace.stepBegins()
    let report = try trainer.step()
    pace.stepEnds(report, every: configuration.output.curveSteps) { curves.training.append($0) }
    let left = Double(trainer.totalSteps - report.step) * pace.secondsPerStep
    reporter.report(
      .step(
        RunEvent.StepSummary(
          step: report.step, totalSteps: trainer.totalSteps, epoch: report.epoch,
          epochs: configuration.training.epochs, tokens: report.tokens, loss: report.loss,
          perplexity: exp(report.loss), learningRate: report.learningRate, gradientNorm: report.gradientNorm,
          tokensPerSecond: pace.tokensPerSecond, secondsLeft: left)))
  }

  private func finishEpoch(
    _ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus, _ validation: Evaluator<TokenReader>?
  ) throws {
    let evaluation = try validation?.evaluate { [reporter] in reporter.report(.evaluating(done: $0, total: $1)) }
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
  private func finish(_ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus) throws {
    if let test = try evaluator(of: .test, corpus, trainer) {
      let evaluation = try test.evaluate { [reporter] in reporter.report(.evaluating(done: $0, total: $1)) }
      results.testLoss = evaluation.loss
      reporter.report(
        .test(
          loss: evaluation.loss, perplexity: evaluation.perplexity, bitsPerToken: evaluation.bitsPerToken))
    }
    let samples = Result { group.isFirst ? try sample(trainer, corpus) : [] }
    try group.waitForAll()
    results.samples = try group.together { try samples.get() }
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

  /// Saves a checkpoint and the curves; all ranks take part, the first one writes.
  private func save(_ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus) throws {
    let laneStates = try trainer.gatherLaneStates()
    let path = try group.together {
      guard group.isFirst else { return "" }
      let path = try store.save(
        Checkpoint(
          configuration: configuration, progress: trainer.progress, vocabulary: corpus.vocabulary,
          corpusFingerprint: corpus.manifest.fingerprint, parameters: trainer.parameters,
          optimizerSlots: trainer.optimizer.slots, laneStates: laneStates, curves: curves, results: results,
          provenance: Provenance(
            program: programVersion, oneDNN: OneDNN.version, instructionSet: OneDNN.instructionSet,
            threads: OneDNN.threads, ranks: group.count)))
      try curves.save(to: "\(store.directory)/curves.h5")
      let best = trainer.progress.bestLoss == nil ? nil : trainer.progress.bestStep
      try store.prune(keep: configuration.output.keep, best: best)
      return path
    }
    reporter.report(.saved(path: path))
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
          unusedTokens: trainer.unusedTokens)))
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
      epochs: progress.epoch, steps: progress.step, validationLoss: last?.loss,
      validationPerplexity: last?.perplexity,
      sourcePerplexity: part.sourceNats.map { exp($0 / Double(part.tokens)) }, bestEpoch: progress.bestEpoch,
      testLoss: results.testLoss, testPerplexity: results.testLoss.map { exp($0) },
      trainingSeconds: pace.trainingSeconds)
  }
}
