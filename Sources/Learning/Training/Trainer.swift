import Corpus
import Kernels
import Networks

/// The training loop of one rank: reads its lanes' windows, learns, exchanges, updates.
///
/// All ranks make the same calls in the same order and hold the same parameters after each step.
public final class Trainer<Source: TokenSource> {
  public let configuration: RunConfiguration
  public let parameters: Parameters
  public let optimizer: Optimizer
  public let layout: LaneLayout
  public private(set) var progress = TrainingProgress()
  /// Where the time of the steps made here has gone.
  public let times = StepTimes()

  private let plan: NetworkPlan
  private let group: any RankGroup
  private let gradients: Gradients
  private let exchange: any GradientExchange
  private let touched: SparseRows
  private let buckets: GradientBuckets
  /// This rank's lanes: one block, or one for each lane group in reproducible mode.
  private let blocks: [LaneBlock<Source>]
  private let networks: [Network]
  /// Lane states as they were before the step, in the order of `blocks`.
  private let statesBefore: [RowStates]
  private let tree: ReductionTree?
  private let source: Source
  private let schedule: LearningRateSchedule
  /// Of all lanes of the global batch; those of other ranks are zero.
  private var losses: [Double]
  private var skippedInARow = 0

  /// So many steps in a row whose gradient is not a number end the run.
  public static var mostSkippedSteps: Int { 5 }

  /// Makes model and memory; parameters are still zero: see `begin` and `restore`.
  /// Throws `CorpusError` for a text that is too short, `ConfigurationError`, `KernelError`.
  public init(
    _ configuration: RunConfiguration, vocabularySize: Int, source: Source, group: any RankGroup
  ) throws {
    let training = configuration.training
    try Self.checkRanks(group.count, training)
    self.configuration = configuration
    self.group = group
    self.source = source
    let layout = try LaneLayout(
      tokens: source.count, lanes: training.batchSize, sequenceLength: training.sequenceLength)
    guard layout.windowsPerEpoch >= training.accumulation else {
      throw ConfigurationError(
        key: "training.accumulation",
        problem: "training.accumulation is \(training.accumulation); expected at most "
          + "\(layout.windowsPerEpoch), the windows of an epoch")
    }
    self.layout = layout
    let plan = NetworkPlan(configuration.model, vocabularySize: vocabularySize)
    self.plan = plan
    let parameterLayout = plan.layout
    // First of what may fail on one rank alone: all take part in it.
    exchange = try group.makeExchange(count: parameterLayout.bufferCount, precision: training.exchange)
    let parameters = try Parameters(parameterLayout)
    self.parameters = parameters
    gradients = Gradients(parameterLayout, in: exchange.buffer)
    buckets = GradientBuckets(exchange, bucketSize: training.bucketSize, overlaps: training.overlap)
    touched = SparseRows(
      parameterLayout,
      tokensPerStep: training.reproducible || !training.touchedRows
        ? .max / 2 : training.accumulation * training.batchSize * training.sequenceLength)
    optimizer = try Optimizer(configuration.optimizer, count: parameterLayout.bufferCount)

    let tree =
      training.reproducible
      ? ReductionTree(groups: training.laneGroups, layout: parameterLayout, group: group, times: times) : nil
    self.tree = tree
    let laneRanges = laneBlocks(
      of: training.batchSize, groups: training.reproducible ? training.laneGroups : nil, rank: group.rank,
      ranks: group.count)
    // Blocks of the same size learn one after the other: they share a network.
    var networks: [Int: Network] = [:]
    blocks = try laneRanges.map { [times] lanes in
      let network =
        try networks[lanes.count]
        ?? Network(
          plan, parameters: parameters,
          NetworkShape(steps: training.sequenceLength, lanes: lanes.count, purpose: .training), times: times)
      networks[lanes.count] = network
      return try LaneBlock(lanes, network: network, source: source, layout: layout, times: times)
    }
    self.networks = Array(networks.values)
    statesBefore = try blocks.map { try RowStates(plan.states, lanes: $0.lanes.count) }
    losses = Array(repeating: 0, count: training.batchSize)
    schedule = LearningRateSchedule(
      configuration.schedule, baseRate: configuration.optimizer.learningRate,
      stepsPerEpoch: layout.windowsPerEpoch / training.accumulation, epochs: training.epochs)
  }

  private static func checkRanks(_ ranks: Int, _ training: TrainingConfiguration) throws {
    let (key, most) =
      training.reproducible
      ? ("training.laneGroups", training.laneGroups) : ("training.batchSize", training.batchSize)
    guard ranks > most else { return }
    throw ConfigurationError(
      key: key,
      problem:
        "\(key) is \(most) for \(ranks) ranks; expected one for each rank at least: start fewer ranks or raise it")
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

  /// Checks the token files this rank will read, so that a damaged one is found now. What `meanwhile` throws, which is
  /// called every few megabytes, ends it.
  public func verifyTokens(meanwhile: () throws -> Void = {}) throws {
    for lane in blocks.flatMap(\.lanes) { try source.verify(layout.tokens(of: lane), meanwhile: meanwhile) }
  }

  // MARK: - Where a run begins

  /// Starts afresh from the seed. The first rank may put other numbers over those in `change`; `origin` is that of the
  /// progress.
  public func begin(origin: String = "", _ change: (Parameters) throws -> Void = { _ in }) throws {
    progress.origin = origin
    parameters.initialize(seed: configuration.seed)
    _ = try group.onFirst { try change(parameters) }
    try broadcastState()
  }

  /// Goes on where a run stood. Rank 0 has filled in `parameters` and the optimizer's slots; `laneStates` are
  /// those of all lanes of the global batch, in order, on every rank.
  public func restore(_ progress: TrainingProgress, laneStates: [Float]) throws {
    self.progress = progress
    let size = RowStates.floatsPerLane(plan.states)
    for block in blocks {
      block.states.values = Array(laneStates[block.lanes.lowerBound * size..<block.lanes.upperBound * size])
    }
    try broadcastState()
  }

  /// Every replica becomes rank 0's.
  private func broadcastState() throws {
    for buffer in [parameters.buffer] + optimizer.slots.map(\.buffer) {
      try group.broadcast(UnsafeMutableRawBufferPointer(buffer.values))
    }
    try parametersChanged()
    recordFinish()
  }

  private func parametersChanged() throws {
    for network in networks { try network.parametersChanged() }
  }

  /// Recurrent states of all lanes of the global batch, in order, on every rank.
  public func gatherLaneStates() throws -> [Float] {
    let own = blocks.flatMap(\.states.values).withUnsafeBytes { Array($0) }
    return try group.allGather(own).flatMap { bytes in
      bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
  }

  // MARK: - Steps

  /// Whether the epoch under way has no step left.
  public var epochIsComplete: Bool { progress.stepInEpoch == stepsPerEpoch }

  /// One step: a window on every lane (several with accumulation), the exchange, one update.
  ///
  /// `notes` are a few numbers of each rank, as many on all; their sums come back in the report. A step whose loss or gradient is not a number is skipped:
  /// parameters and lane states stay as they were, on every rank alike, and the report says so; too many in a row throw
  /// `TrainingError.diverged`.
  public func step(notes: [Double] = []) throws -> StepReport {
    precondition(progress.finished == nil && !epochIsComplete)
    for index in losses.indices { losses[index] = 0 }
    for (before, block) in zip(statesBefore, blocks) { before.copy(from: block.states) }
    if let tree {
      try tree.sum(into: gradients) { laneGroup, gradients in
        try learn(blocks[laneGroup - tree.own.lowerBound], gradients)
      }
    } else {
      times.measure(.update) { clearGradients() }
      try learn(blocks[0], gradients)
    }
    // Each lane's loss comes from one rank and zero from the others: the sum below is in lane order everywhere.
    let shared = try times.measure(.waiting) { try group.allReduce(losses + notes) }
    let squares = tree == nil ? try times.measure(.exchange) { try exchangeGradients() } : nil
    let loss = shared.prefix(losses.count).reduce(0, +) / Double(tokensPerStep)
    let report = try times.measure(.update) {
      try update(loss: loss, squares: squares, notes: Array(shared.dropFirst(losses.count)))
    }
    let every = configuration.training.checksumSteps
    if every > 0, progress.step % every == 0 { try compareReplicas() }
    return report
  }

  private func learn(_ block: LaneBlock<Source>, _ gradients: Gradients) throws {
    let accumulation = configuration.training.accumulation
    try losses.withUnsafeMutableBufferPointer { losses in
      for part in 0..<accumulation {
        let isLast = part == accumulation - 1
        let sink = GradientSink(
          gradients, overwrites: tree == nil && part == 0, departure: tree == nil && isLast ? buckets : nil,
          times: times
        ) { [touched] in touched.note($1) }
        try block.learn(
          window: progress.stepInEpoch * accumulation + part, number: progress.step * accumulation + part,
          seed: configuration.seed, losses: losses, sink: sink)
      }
    }
  }

  /// Bytes of gradient that this rank brought to the exchange of the last step, as they travel between machines; none in
  /// reproducible mode, which has another.
  public var exchangedBytes: Int {
    let floats = touched.dense.count + touched.rows.reduce(0) { $0 + $1.count }
    let size = configuration.training.exchange == .half ? 2 : 4
    return group.count > 1 && tree == nil ? floats * size : 0
  }

  /// Seconds of an exchange by itself, from when all ranks are there, to measure it; 0 in reproducible mode.
  public func exchangeSeconds() throws -> Double {
    guard tree == nil else { return 0 }
    let clock = ContinuousClock()
    _ = try group.allReduce([0])  // of no numbers at all, MPI waits for nobody
    let begin = clock.now
    buckets.begin(touched.dense)
    _ = try exchangeGradients()
    return (clock.now - begin) / .seconds(1)
  }

  /// Before a step: those that are only added to. The others are overwritten.
  private func clearGradients() {
    let added = parameters.layout.tensors.filter { $0.accumulates && touched.dense.contains($0.offset) }
    for range in touched.rows + added.map(\.range) {
      (gradients.buffer.pointer + range.lowerBound).update(repeating: 0, count: range.count)
    }
    touched.clear()
    buckets.begin(touched.dense)
  }

  /// Sums over all ranks what has not been sent on its way yet, and waits for all of it. Returns the sum of the squares, if
  /// it is known.
  private func exchangeGradients() throws -> Double? {
    try touched.merge(group)
    try buckets.finish()
    if !touched.rows.isEmpty { try exchange.begin(touched.rows) }
    guard let own = try exchange.finish() else { return nil }
    return try group.allReduce([own])[0]
  }

  /// `squares`: the sum of the gradient's squares, if it is known.
  private func update(loss: Double, squares: Double?, notes: [Double]) throws -> StepReport {
    let training = configuration.training
    // The buffer holds the sum over all tokens of the global batch.
    let parts =
      switch training.gradient {
      case .tokenMean: tokensPerStep
      case .laneMean: training.batchSize * training.accumulation
      }
    let made = [touched.dense] + touched.rows
    let whole =
      squares
      ?? made.reduce(0) { $0 + sumOfSquares(gradients.buffer.pointer + $1.lowerBound, count: $1.count) }
    let gradientNorm = whole.squareRoot() / Double(parts)
    let rate = schedule.rate(step: progress.step, reductions: progress.reductions)
    let isSkipped = !(gradientNorm.isFinite && loss.isFinite)
    progress.step += 1
    progress.stepInEpoch += 1
    progress.tokens += tokensPerStep
    if isSkipped {
      try skip(because: loss.isFinite ? "the gradient" : "the loss")
    } else {
      skippedInARow = 0
      let clip = training.clipNorm > 0 ? min(1, training.clipNorm / gradientNorm) : 1
      for range in optimizer.leavesZeroGradients ? made : [0..<parameters.buffer.count] {
        optimizer.update(
          parameters.buffer, range, with: gradients.buffer, gradientScale: Float(clip / Double(parts)), rate: rate,
          step: progress.step - progress.skippedSteps)
      }
      try parametersChanged()
    }
    recordFinish()
    return StepReport(
      step: progress.step, epoch: progress.epoch + 1, tokens: progress.tokens, loss: loss,
      gradientNorm: gradientNorm, learningRate: rate, isSkipped: isSkipped, notes: notes)
  }

  private func skip(because what: String) throws {
    for (before, block) in zip(statesBefore, blocks) { block.states.copy(from: before) }
    progress.skippedSteps += 1
    skippedInARow += 1
    if skippedInARow >= Self.mostSkippedSteps { throw TrainingError.diverged(step: progress.step, of: what) }
  }

  /// Compares all ranks' parameters by a checksum: they must hold the same bits. Throws `TrainingError.replicasDiffer`
  /// naming the ranks that differ from most, on every rank.
  public func compareReplicas() throws {
    let own = checksum(parameters.buffer)
    let sums = try group.allGather(withUnsafeBytes(of: own) { Array($0) })
    var counts: [[UInt8]: Int] = [:]
    for sum in sums { counts[sum, default: 0] += 1 }
    guard counts.count > 1 else { return }
    // Of two that differ, the first rank's counts: it is the one that writes checkpoints.
    let most = counts.values.max()
    let common = sums.first { counts[$0] == most }
    throw TrainingError.replicasDiffer(step: progress.step, ranks: sums.indices.filter { sums[$0] != common })
  }

  /// Throws `TrainingError.diverged` if a parameter is not a number: what the last update did is seen by no loss
  /// yet, and must not be saved. The same on every rank.
  public func checkParameters() throws {
    guard sumOfSquares(parameters.buffer.pointer, count: parameters.buffer.count).isFinite else {
      throw TrainingError.diverged(step: progress.step, of: "a parameter")
    }
  }

  /// Closes a complete epoch: the next begins at the start of every lane, from zero state. Its validation loss, if there
  /// is to be one, is then observed.
  public func finishEpoch() {
    precondition(epochIsComplete)
    progress.epoch += 1
    progress.stepInEpoch = 0
    for block in blocks { block.states.clear() }
    recordFinish()
  }

  /// Takes note of a validation loss (nats per token) of the model as it was after so many steps and complete epochs. One
  /// at the end of an epoch counts for patience and plateau.
  public func observe(validationLoss: Double, step: Int, epoch: Int, isEndOfEpoch: Bool) {
    if isEndOfEpoch {
      progress.closeEpoch(
        validationLoss: validationLoss, step: step, epoch: epoch, schedule: configuration.schedule)
    } else {
      progress.observe(validationLoss: validationLoss, step: step, epoch: epoch)
    }
    recordFinish()
  }

  /// Takes note of an evaluation that is under way elsewhere; nil when its loss is known.
  public func awaits(_ evaluation: TrainingProgress.PendingEvaluation?) { progress.pendingEvaluation = evaluation }

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
