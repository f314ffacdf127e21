import Corpus
import Kernels
import Model

/// The training loop of one rank: reads its lanes' windows, learns, exchanges, updates.
///
/// All ranks make the same calls in the same order and hold the same parameters after each step.
public final class Trainer<Source: TokenSource> {
  public let configuration: RunConfiguration
  public let parameters: Parameters
  public let optimizer: Optimizer
  public let layout: LaneLayout
  /// The lanes of the global batch that this rank owns.
  public let lanes: Range<Int>
  public private(set) var progress = TrainingProgress()

  private let group: any RankGroup
  private let gradients: Gradients
  private let model: LanguageModel
  private let state: RecurrentState
  private let cursor: LaneCursor<Source>
  private let schedule: LearningRateSchedule
  private var window: Window
  private var losses: [Double]

  /// Makes model and memory; parameters are still zero: see `begin` and `restore`.
  /// Throws `CorpusError` for a text that is too short, `ConfigurationError`, `KernelError`.
  public init(
    _ configuration: RunConfiguration, vocabularySize: Int, source: Source, group: any RankGroup
  ) throws {
    let training = configuration.training
    guard group.count <= training.batchSize else {
      throw ConfigurationError(
        key: "training.batchSize",
        problem: "training.batchSize is \(training.batchSize) for \(group.count) ranks; expected a lane for "
          + "each rank at least: start fewer ranks or raise it")
    }
    self.configuration = configuration
    self.group = group
    layout = try LaneLayout(
      tokens: source.count, lanes: training.batchSize, sequenceLength: training.sequenceLength)
    guard layout.windowsPerEpoch >= training.accumulation else {
      throw ConfigurationError(
        key: "training.accumulation",
        problem: "training.accumulation is \(training.accumulation); expected at most "
          + "\(layout.windowsPerEpoch), the windows of an epoch")
    }
    lanes = group.ownLanes(of: training.batchSize)
    let parameterLayout = ParameterLayout(configuration.model, vocabularySize: vocabularySize)
    parameters = try Parameters(parameterLayout)
    gradients = try Gradients(parameterLayout)
    optimizer = try Optimizer(configuration.optimizer, count: parameterLayout.bufferCount)
    model = try LanguageModel(
      configuration.model, vocabularySize: vocabularySize, parameters: parameters,
      steps: training.sequenceLength, lanes: lanes.count, purpose: .training)
    state = try RecurrentState(configuration.model, lanes: lanes.count)
    cursor = LaneCursor(source: source, layout: layout, lanes: lanes)
    window = cursor.makeWindow()
    losses = Array(repeating: 0, count: lanes.count)
    schedule = LearningRateSchedule(
      configuration.schedule, baseRate: configuration.optimizer.learningRate,
      stepsPerEpoch: layout.windowsPerEpoch / training.accumulation, epochs: training.epochs)
  }

  /// Steps of one epoch.
  public var stepsPerEpoch: Int { schedule.stepsPerEpoch }

  /// Steps of the whole run, if nothing ends it early.
  public var totalSteps: Int {
    let all = stepsPerEpoch * configuration.training.epochs
    let most = configuration.training.maximumSteps
    return most > 0 ? min(all, most) : all
  }

  /// Tokens of the training text that no step of an epoch learns from.
  public var unusedTokens: Int {
    layout.tokens - 1 - stepsPerEpoch * tokensPerStep
  }

  private var tokensPerStep: Int {
    configuration.training.accumulation * configuration.training.batchSize * configuration.training.sequenceLength
  }

  /// Checks the token files this rank will read, so that a damaged one is found now.
  public func verifyTokens() throws {
    for lane in lanes {
      let first = layout.predictions(lane: lane, window: 0)
      let last = layout.predictions(lane: lane, window: layout.windowsPerEpoch - 1)
      try cursor.source.verify(first.lowerBound - 1..<last.upperBound)
    }
  }

  // MARK: - Where a run begins

  /// Starts afresh from the seed.
  public func begin() throws {
    parameters.initialize(configuration.model, seed: configuration.seed)
    try becomeAlike()
  }

  /// Goes on where a run stood. Rank 0 has filled in `parameters` and the optimizer's slots; `laneStates` are
  /// those of all lanes of the global batch, in order, on every rank.
  public func restore(_ progress: TrainingProgress, laneStates: [Float]) throws {
    self.progress = progress
    let size = RecurrentState.floatsPerLane(configuration.model)
    state.values = Array(laneStates[lanes.lowerBound * size..<lanes.upperBound * size])
    try becomeAlike()
  }

  /// Every replica becomes rank 0's.
  private func becomeAlike() throws {
    for buffer in [parameters.buffer] + optimizer.slots.map(\.buffer) {
      try group.broadcast(UnsafeMutableRawBufferPointer(buffer.values))
    }
    try model.parametersChanged()
    recordFinish()
  }

  /// Recurrent states of all lanes of the global batch, in order, on every rank.
  public func gatherLaneStates() throws -> [Float] {
    let own = state.values.withUnsafeBytes { Array($0) }
    return try group.gather(own).flatMap { bytes in
      bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
  }

  // MARK: - Steps

  /// Whether the epoch under way has no step left.
  public var epochIsComplete: Bool { progress.stepInEpoch == stepsPerEpoch }

  /// One step: a window on every lane (several with accumulation), the exchange, one update.
  public func step() throws -> StepReport {
    precondition(progress.finished == nil && !epochIsComplete)
    gradients.buffer.clear()
    for index in losses.indices { losses[index] = 0 }
    let accumulation = configuration.training.accumulation
    for part in 0..<accumulation {
      try learn(windowOfEpoch: progress.stepInEpoch * accumulation + part, window: progress.step * accumulation + part)
    }
    try exchange()
    let loss = try group.sum([losses.reduce(0, +)])[0] / Double(tokensPerStep)
    return try update(loss: loss)
  }

  private func learn(windowOfEpoch: Int, window number: Int) throws {
    try cursor.read(windowOfEpoch, into: &window)
    let key =
      configuration.model.dropout > 0
      ? DropoutKey(seed: configuration.seed, window: number, firstLane: lanes.lowerBound) : nil
    try window.inputs.withUnsafeBufferPointer { inputs in
      try window.targets.withUnsafeBufferPointer { targets in
        try losses.withUnsafeMutableBufferPointer {
          try model.learn(
            inputs: inputs, targets: targets, state: state, dropout: key, losses: $0, gradients: gradients)
        }
      }
    }
  }

  /// Sums the gradient over all ranks, in buckets: the last floats are the output layer's, done first.
  private func exchange() throws {
    let values = gradients.buffer.values
    let size = configuration.training.bucketSize
    var end = values.count
    while end > 0 {
      let start = max(0, end - size)
      try group.begin(UnsafeMutableBufferPointer(rebasing: values[start..<end]))
      end = start
    }
    try group.finish()
  }

  private func update(loss: Double) throws -> StepReport {
    let training = configuration.training
    // The buffer holds the sum over all tokens of the global batch.
    let parts =
      switch training.gradient {
      case .tokenMean: tokensPerStep
      case .laneMean: training.batchSize * training.accumulation
      }
    let gradientNorm = norm(gradients.buffer) / Double(parts)
    guard gradientNorm.isFinite && loss.isFinite else {
      throw TrainingError.diverged(
        step: progress.step + 1, of: loss.isFinite ? "the gradient" : "the loss")
    }
    let clip = training.clipNorm > 0 ? min(1, training.clipNorm / gradientNorm) : 1
    let rate = schedule.rate(step: progress.step, reductions: progress.reductions)
    optimizer.update(
      parameters.buffer, with: gradients.buffer, gradientScale: Float(clip / Double(parts)), rate: rate,
      step: progress.step + 1)
    try model.parametersChanged()
    progress.step += 1
    progress.stepInEpoch += 1
    progress.tokens += tokensPerStep
    recordFinish()
    return StepReport(
      step: progress.step, epoch: progress.epoch + 1, tokens: progress.tokens, loss: loss,
      gradientNorm: gradientNorm, learningRate: rate)
  }

  /// Throws `TrainingError.diverged` if a parameter is not a number: what the last update did is seen by no loss
  /// yet, and must not be saved. The same on every rank.
  public func checkParameters() throws {
    guard norm(parameters.buffer).isFinite else { throw TrainingError.diverged(step: progress.step, of: "a parameter") }
  }

  /// Closes a complete epoch with its validation loss (nats per token; nil without a validation text). The
  /// next begins at the start of every lane, from zero state.
  public func finishEpoch(validationLoss: Double?) {
    precondition(epochIsComplete)
    progress.epoch += 1
    progress.stepInEpoch = 0
    state.clear()
    if let validationLoss { progress.observe(validationLoss: validationLoss, configuration: configuration) }
    recordFinish()
  }

  private func recordFinish() {
    let training = configuration.training
    // A complete epoch is closed, with its validation, before the run ends.
    if epochIsComplete && stepsPerEpoch > 0 && progress.epoch < training.epochs { return }
    if progress.epoch >= training.epochs {
      progress.finished = .epochs
    } else if training.maximumSteps > 0 && progress.step >= training.maximumSteps {
      progress.finished = .maximumSteps
    } else if training.patience > 0 && progress.epochsSinceBest >= training.patience {
      progress.finished = .patience
    } else {
      progress.finished = nil
    }
  }
}
