import Checkpoints
import Corpus
import Files
import Hosts
import Networks
import Tasks
import Training

/// What to do about what is already in a run's folder.
public enum ResumePolicy: String, CaseIterable, Sendable {
  /// Go on from the newest checkpoint that is whole; begin where there is none.
  case auto
  /// Refuse a folder that is not empty.
  case never
  /// Go on from the newest checkpoint that is whole; refuse where there is none.
  case always
}

/// How a run ended.
public enum RunOutcome: String, Codable, Sendable {
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
  private let kind: any LearningTask.Type
  let group: any RankGroup
  let reporter: any Reporter
  let resume: ResumePolicy
  private let control: (any RunControl)?

  /// `task` is what the configuration names. `reporter` and `control` are used on the first rank only.
  public init(
    _ configuration: RunConfiguration, task: any LearningTask.Type, group: any RankGroup, reporter: any Reporter,
    resume: ResumePolicy, control: (any RunControl)? = nil
  ) {
    precondition(task.kind == configuration.task)
    self.configuration = configuration
    kind = task
    self.group = group
    self.reporter = group.isFirst ? reporter : SilentReporter()
    self.resume = resume
    self.control = group.isFirst ? control : nil
  }

  /// Trains, evaluates, saves and samples; returns when the run is finished or has been interrupted. An error of the
  /// world, a file or memory, is thrown on every rank.
  public func start() throws -> RunOutcome {
    let interruption = Interruption(timeLimit: configuration.training.timeLimit, watchesClock: group.isFirst)
    let cancellation = try CancellationToken(group) { [control] in interruption.reason ?? control?.stopReason }
    let outcome: RunOutcome
    do {
      outcome = try start(interruption, cancellation)
    } catch let stop as StopRequest {
      // There is nothing to save yet: once there is, the loop sees to it.
      reporter.report(.interrupted(reason: stop.reason, step: nil, checkpoint: nil))
      outcome = .interrupted
    }
    try cancellation.end()
    return outcome
  }

  /// Throws `StopRequest` on every rank if the run is to stop before its first step.
  private func start(_ interruption: Interruption, _ cancellation: CancellationToken) throws -> RunOutcome {
    control?.runDoes(.preparing)
    group.does(RunActivity.preparing.rawValue, step: 0, isResting: false)
    group.limitStalls(to: configuration.training.stallTimeout)
    let evaluators = configuration.coordinator.evaluators
    guard evaluators < group.count else { throw RunError.tooFewRanks(count: group.count, evaluators: evaluators) }
    let machines = try Machines(group)
    let folder = try takeFolder(machines, cancellation)
    defer { withExtendedLifetime(folder) {} }
    let point = try group.onFirst { try ResumePoint(store, configuration, resume) }
    point?.tell(reporter, name: configuration.name, directory: store.directory)
    reporter.report(.configuration(try ConfigurationReader.yaml(of: configuration)))
    let corpus = try openCorpus(machines, cancellation)
    let task = try group.together { try kind.init(configuration, corpus) }
    try prepareRanks(task, machines.hosts)
    switch try group.split(evaluators: evaluators).role {
    case .evaluating(let part, let link): return try evaluate(task, corpus, folder, part, link, cancellation)
    case .training(let part, let link):
      return try train(task, corpus, folder, point, part, link, machines.hosts, interruption, cancellation)
    }
  }

  /// On a rank that trains, `part` being all that do.
  private func train(
    _ task: any LearningTask, _ corpus: PreparedCorpus, _ folder: RunFolder, _ point: ResumePoint?,
    _ part: any RankGroup,
    _ link: (any EvaluatorLink)?, _ hosts: [String], _ interruption: Interruption, _ cancellation: CancellationToken
  ) throws -> RunOutcome {
    let (loop, pool) = try ready(cancellation) {
      let learner = try makeLearner(task, part, cancellation)
      let pool = try part.together { try link.map { try EvaluatorPool($0, parameters: learner.parameters) } }
      let loop = RunLoop(
        configuration, group: part, reporter: reporter, interruption: interruption, cancellation: cancellation,
        control: control,
        pool: pool, hosts: hosts, folder: folder, corpus: corpus, task: task, learner: learner,
        validation: try makeEvaluator(task, of: .validation, learner.parameters, part, cancellation),
        test: try makeEvaluator(task, of: .test, learner.parameters, part, cancellation))
      return (loop, pool)
    }
    do {
      try loop.beginOrResume(point)
      report(task, corpus, loop.learner)
      try loop.introduce()
      let outcome = try loop.run()
      try pool?.end(.end(outcome))
      return outcome
    } catch {
      // Where all that train have met with it, the first takes its time to end what is under way, and the others sleep.
      if part.meetAfterError() {
        _ = try part.onFirst {
          loop.saver?.finish()
          try pool?.end(.fail("\(error)"))
        }
      }
      throw error
    }
  }

  /// On a rank set aside, `part` being all that are.
  private func evaluate(
    _ task: any LearningTask, _ corpus: PreparedCorpus, _ folder: RunFolder, _ part: any RankGroup,
    _ link: any EvaluatorLink,
    _ cancellation: CancellationToken
  ) throws -> RunOutcome {
    let loop = try ready(cancellation) {
      let parameters = try part.together { try task.makeParameters() }
      return EvaluatorLoop(
        configuration, group: part, link: link, receiver: folder.receiver, corpus: corpus, task: task,
        parameters: parameters,
        validation: try makeEvaluator(task, of: .validation, parameters, part, cancellation),
        test: try makeEvaluator(task, of: .test, parameters, part, cancellation), cancellation: cancellation)
    }
    return try loop.run()
  }

  /// This rank's part of the run. `make` calls on those of its own role only; what fails for them fails for all.
  private func ready<Value>(_ cancellation: CancellationToken, _ make: () throws -> Value) throws -> Value {
    let made = Result { try make() }
    return try cancellation.together { try made.get() }
  }

  private func report(_ task: any LearningTask, _ corpus: PreparedCorpus, _ learner: any Learner) {
    let parts = corpus.manifest.parts
    reporter.report(
      .corpus(
        RunEvent.CorpusSummary(
          directory: corpus.directory, tokenizer: corpus.vocabulary.kind.rawValue,
          vocabularySize: corpus.vocabulary.count, textFiles: corpus.manifest.textCount,
          trainingTokens: parts.train.tokens,
          validationTokens: parts.validation.tokens, testTokens: parts.test.tokens,
          unusedTokens: learner.unusedTargets,
          unknownTokens: parts.all.reduce(0) { $0 + $1.unknownTokens })))
    let provenance = Provenance.current(ranks: group.count)
    reporter.report(
      .model(
        RunEvent.ModelSummary(
          parameters: learner.parameters.layout.parameterCount,
          memoryBytes: memory(of: task).bytes,
          ranks: provenance.ranks, threads: provenance.threads, oneDNN: provenance.oneDNN,
          instructionSet: provenance.instructionSet, stepsPerEpoch: learner.stepsPerEpoch,
          totalSteps: learner.totalSteps)))
  }
}
