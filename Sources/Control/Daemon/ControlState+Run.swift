import Checkpoints
import ControlAPI
import ControlServer
import Files
import Foundation
import Runs
import TaskMetrics
import Training

/// The side of the loop that trains: called on its thread only.
extension ControlState: RunControl {
  public func runBegins(_ beginning: RunBeginning) throws {
    withState { state in
      var run = RunStatus(name: beginning.name, metrics: beginning.metrics)
      run.step = beginning.progress.step
      run.totalSteps = beginning.totalSteps
      run.epoch = beginning.progress.epoch + 1
      run.epochs = beginning.epochs
      run.tokens = beginning.progress.tokens
      run.skippedSteps = beginning.progress.skippedSteps
      run.parameters = beginning.parameters
      run.best = beginning.best.finite
      run.bestStep = beginning.progress.best == nil ? nil : beginning.progress.bestStep
      run.validation = beginning.curves.validation.last?.metrics.finite ?? [:]
      state.status.run = run
      state.status.ranks = beginning.hosts.enumerated().map { rank, host in
        RankStatus(
          rank: rank, host: host,
          role: rank < beginning.hosts.count - beginning.evaluators ? .training : .evaluating)
      }
      state.configuration = RunConfigurationText(run: beginning.name, yaml: beginning.configuration)
      state.curves = beginning.curves
      state.told = beginning.told
      state.toldStep = beginning.curves.training.last?.step ?? 0
      state.samples = beginning.samples.map(SampleText.init)
      state.hasRun = true
      state.firstStep = beginning.progress.step
      state.tellStatus(uptime, always: true)
    }
    tellQueue()
    try runBeginning?(beginning.directory)
  }

  public func runDoes(_ activity: RunActivity) {
    let activity = Status.Activity(rawValue: activity.rawValue) ?? .training
    withState { state in
      // Slices of writing come and go with the steps: those are told with the next status.
      let isLasting = activity == .paused || state.status.activity == .paused
      let isNew = state.status.activity != activity
      state.status.activity = activity
      state.tellStatus(uptime, always: isNew && isLasting)
    }
  }

  public func ranksPace(_ ranks: [RankPace]) {
    withState { state in
      for pace in ranks where pace.rank < state.status.ranks.count {
        state.status.ranks[pace.rank].stepSeconds = pace.workSeconds
        state.status.ranks[pace.rank].waitSeconds = pace.waitSeconds
        state.status.ranks[pace.rank].isStraggler = pace.isStraggler
      }
    }
  }

  public var stopReason: String? { withState { $0.pendingCommands.stopReason } }

  public func pendingCommands() -> PendingCommands {
    withState { state in
      defer {
        state.pendingCommands.requests = []
        state.pendingCommands.abandoned = []
      }
      return state.pendingCommands
    }
  }

  public func waitForCommands() { waitForChange() }

  public func answer(_ id: Int, _ answer: RunAnswer) {
    let asker = withState { state in
      if case .text = answer { return state.askers[id] }
      return state.askers.removeValue(forKey: id)
    }
    switch (answer, asker) {
    case (.failed(let message), .text?): asker?.fail(.badRequest(message))
    case (.failed(let message), _): asker?.fail(.conflict(message))
    case (.evaluated(let metrics, let step, let seconds, let pausedSeconds), .evaluation(let asker, let part)):
      if let (name, _) = metrics.first(where: { !$0.value.isFinite }) {
        return asker.resume(throwing: ErrorBody.conflict("the \(name) is not a finite number: the run has diverged"))
      }
      let result = EvaluationResult(
        step: step, part: part, metrics: withState(\.told), values: metrics, seconds: seconds,
        pausedSeconds: pausedSeconds)
      asker.resume(returning: result)
      emit(.evaluation(result))
    case (.saved(let step, let path), .checkpoint(let asker)):
      asker.resume(returning: CheckpointResult(step: step, path: path))
    case (.text(let text), .text(let asker, _)): asker.yield(.text(text))
    case (.written(let step, let tokens, let seconds, let pausedSeconds), .text(let asker, let seed)):
      asker.yield(
        .end(
          GenerationEnd(step: step, seed: seed, tokens: tokens, seconds: seconds, pausedSeconds: pausedSeconds)))
      asker.finish()
    case (_, nil): break  // who asked has gone
    case (.evaluated, _), (.saved, _), (.text, _), (.written, _):
      preconditionFailure("request \(id) was answered with something else than was asked for")
    }
  }
}

extension ControlState: Reporter {
  public func report(_ event: RunEvent) {
    switch event {
    case .step(let step):
      withState { state in
        state.status.run?.step = step.step
        state.status.run?.totalSteps = step.totalSteps
        state.status.run?.epoch = step.epoch
        state.status.run?.epochs = step.epochs
        state.status.run?.tokens = step.tokens
        state.status.run?.training = step.metrics.finite
        state.status.run?.learningRate = step.learningRate.finite
        state.status.run?.gradientNorm = step.gradientNorm.finite
        state.status.run?.tokensPerSecond = step.tokensPerSecond.finite
        state.status.run?.secondsLeft = step.secondsLeft.finite
        state.status.run?.skippedSteps = step.skippedSteps
        state.tellStatus(uptime)
      }
      if step.step.isMultiple(of: 10) { tellQueue() }
    case .curve(let point): withState { $0.curves?.append(point) }
    case .validation(let point, let isBest): evaluated(point, isBest: isBest)
    case .epoch(let epoch):
      if epoch.validation.isEmpty { return }
      evaluated(
        ValidationPoint(step: epoch.step, epoch: epoch.epoch, metrics: epoch.validation), isBest: epoch.isBest)
    case .sample(let sample):
      let text = SampleText(sample)
      withState { state in
        state.samples = (state.samples + [text]).suffix(Self.mostSamples)
        state.emit(.sample(text))
      }
    case .saved(let save):
      withState { state in
        state.status.run?.savedCheckpoints += 1
        if save.hadToWait { state.status.run?.delayedCheckpoints += 1 }
      }
      log(.info, "saved a checkpoint of step \(save.step)")
      tellQueue(saved: save.step)
    case .copied(let copy):
      withState { state in
        state.status.run?.copiedStep = copy.step
        state.status.run?.copyHost = copy.host
      }
      log(.info, "the checkpoint of step \(copy.step) is safe on \(copy.host) too")
    case .fetched(let host, let step, _): log(.info, "brought step \(step) from \(host)")
    case .distributed(let summary):
      log(.info, "sent \(summary.bytes) bytes of tokens to \(counted(summary.hosts.count { $0.bytes > 0 }, "host"))")
    case .warning(let message): log(.warning, message)
    case .begins(let name, let directory): log(.info, "run \(name) begins in \(directory)")
    case .resumed(let name, let path, let step, _): log(.info, "run \(name) resumes at step \(step) from \(path)")
    case .begunFrom(let path, let known, let size):
      log(.info, "begun with \(path), which knows \(known) of \(size) tokens")
    case .test(let values):
      let metrics = withState { $0.status.run?.metrics ?? [] }
      log(.info, "test \(metrics.line(values) { String(format: "%.6g", $0) })")
    case .finished(let summary):
      log(.info, "finished (\(summary.reason)) after \(counted(summary.steps, "step"))")
    case .interrupted(let reason, let step, _):
      log(.info, "stopped (\(reason)) \(step.map { "after step \($0)" } ?? "before it began")")
    case .configuration, .preparing, .corpus, .model, .evaluating: break
    }
  }

  private func evaluated(_ point: ValidationPoint, isBest: Bool) {
    withState { state in
      state.curves?.append(point)
      state.status.run?.validation = point.metrics.finite
      if isBest {
        state.status.run?.best = point.metrics.finite
        state.status.run?.bestStep = point.step
      }
      state.tellStatus(uptime, always: true)
      var row = state.curves.map(Curves.init(like:)) ?? Curves()
      row.append(point)
      state.emit(.curves(CurveTables(run: state.status.run?.name ?? "", row)))
    }
  }
}

extension SampleText {
  fileprivate init(_ sample: Sample) {
    self.init(
      step: sample.step, prompt: sample.prompt, temperature: sample.temperature, seed: sample.seed, text: sample.text)
  }
}
