import Checkpoints
import Corpus
import Files
import Training

/// What to do about what is already in a run's folder.
public enum ResumePolicy: String, CaseIterable, Sendable {
  /// Go on from the newest checkpoint that is whole; begin where there is none.
  case auto
  /// Refuse a folder that is not empty.
  case never
}

/// How a run ended.
public enum RunOutcome: Sendable {
  case finished
  /// Stopped from outside, with a checkpoint to go on from.
  case interrupted
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
  private let control: (any RunControl)?

  /// `reporter` and `control` are used on the first rank only.
  public init(
    _ configuration: RunConfiguration, group: any RankGroup, reporter: any Reporter, resume: ResumePolicy,
    control: (any RunControl)? = nil
  ) {
    self.configuration = configuration
    self.group = group
    self.reporter = group.isFirst ? reporter : SilentReporter()
    self.resume = resume
    self.control = group.isFirst ? control : nil
  }

  /// Trains, evaluates, saves and samples; returns when the run is finished or has been interrupted. An error of the
  /// world, a file or memory, is thrown on every rank.
  public func start() throws -> RunOutcome {
    let interruption = Interruption(timeLimit: configuration.training.timeLimit, watchesClock: group.isFirst)
    control?.runDoes(.preparing)
    reporter.report(.configuration(try ConfigurationReader.yaml(of: configuration)))
    let corpus = try openCorpus()
    let trainer = try makeTrainer(corpus)
    let loop = RunLoop(
      configuration, group: group, reporter: reporter, interruption: interruption, control: control,
      corpus: corpus, trainer: trainer, validation: try evaluator(of: .validation, corpus, trainer),
      test: try evaluator(of: .test, corpus, trainer))
    let lock = try group.onFirst { try loop.store.take() }
    defer { withExtendedLifetime(lock) {} }
    try loop.beginOrResume(resume)
    report(corpus, trainer)
    try loop.introduce()
    return try loop.run()
  }

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
    let provenance = Provenance.current(ranks: group.count)
    reporter.report(
      .model(
        RunEvent.ModelSummary(
          parameters: trainer.parameters.layout.parameterCount,
          memoryBytes: memoryEstimate(vocabularySize: corpus.vocabulary.count).bytes,
          ranks: provenance.ranks, threads: provenance.threads, oneDNN: provenance.oneDNN,
          instructionSet: provenance.instructionSet, stepsPerEpoch: trainer.stepsPerEpoch,
          totalSteps: trainer.totalSteps)))
  }
}
