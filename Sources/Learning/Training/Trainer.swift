import Corpus
import Kernels
import TaskMetrics
import Networks

/// The training loop of one rank: reads its rows' batches, learns, exchanges, updates.
///
/// All ranks make the same calls in the same order and hold the same parameters after each step.
public final class Trainer: Learner {
  public let configuration: RunConfiguration
  public let parameters: Parameters
  public let optimizer: Optimizer
  public private(set) var progress = TrainingProgress()
  /// Where the time of the steps made here has gone.
  public let times = StepTimes()

  private let plan: NetworkPlan
  private let group: any RankGroup
  private let gradients: Gradients
  private let exchange: any GradientExchange
  private let touched: SparseRows
  private let buckets: GradientBuckets
  /// This rank's rows: one block, or one for each row group in reproducible mode.
  private let blocks: [RowBlock]
  private let networks: [Network]
  /// Row states as they were before the step, in the order of `blocks`.
  private let statesBefore: [RowStates]
  private let tree: ReductionTree?
  private let source: any BatchSource
  private let deciding: Metric
  private let schedule: LearningRateSchedule
  /// Of all rows of the global batch; those of other ranks are zero.
  private var losses: [Double]
  private var skippedInARow = 0

  /// So many steps in a row whose gradient is not a number end the run.
  public static var mostSkippedSteps: Int { 5 }

  /// Makes model and memory; parameters are still zero: see `begin` and `restore`.
  /// Throws `CorpusError` for a text that is too short, `ConfigurationError`, `KernelError`.
  public convenience init(
    _ configuration: RunConfiguration, vocabularySize: Int, source: some TokenSource, group: any RankGroup
  ) throws {
    try Self.checkRanks(group.count, configuration.training)
    try self.init(
      configuration, vocabularySize: vocabularySize,
      batches: LaneBatches(source, configuration.laneLayout(tokens: source.count)),
      deciding: Measures.ofLanguageModels.deciding, group: group)
  }

  /// Of any batches; `deciding` is the metric that `observe` is told. Throws as the other one does.
  init(
    _ configuration: RunConfiguration, vocabularySize: Int, batches source: any BatchSource, deciding: Metric,
    group: any RankGroup
  ) throws {
    let training = configuration.training
    self.configuration = configuration
    self.group = group
    self.source = source
    self.deciding = deciding
    guard source.batchesPerEpoch >= training.accumulation else {
      throw ConfigurationError(
        key: "training.accumulation",
        problem: "training.accumulation is \(training.accumulation); expected at most "
          + "\(source.batchesPerEpoch), the windows of an epoch")
    }
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
        ? .max / 2 : training.accumulation * source.rows * source.limits.steps)
    optimizer = try Optimizer(configuration.optimizer, count: parameterLayout.bufferCount)

    let tree =
      training.reproducible
      ? ReductionTree(groups: training.laneGroups, layout: parameterLayout, group: group, times: times) : nil
    self.tree = tree
    let rowRanges = laneBlocks(
      of: source.rows, groups: training.reproducible ? training.laneGroups : nil, rank: group.rank,
      ranks: group.count)
    // Blocks of the same size learn one after the other: they share a network.
    var networks: [Int: Network] = [:]
    blocks = try rowRanges.map { [times] rows in
      let network =
        try networks[rows.count]
        ?? Network(
          plan, parameters: parameters,
          NetworkShape(
            steps: source.limits.steps, lanes: rows.count, purpose: .training, rowsEnd: source.limits.rowsEnd),
          times: times)
      networks[rows.count] = network
      return try RowBlock(rows, network: network, source: source, times: times)
    }
    self.networks = Array(networks.values)
    statesBefore = try blocks.map { try RowStates(plan.states, lanes: $0.rows.count) }
    losses = Array(repeating: 0, count: source.rows)
    schedule = LearningRateSchedule(
      configuration.schedule, baseRate: configuration.optimizer.learningRate,
      stepsPerEpoch: training.steps(ofBatches: source.batchesPerEpoch), epochs: training.epochs)
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

  public var stepsPerEpoch: Int { schedule.stepsPerEpoch }

  public var totalSteps: Int {
    let all = stepsPerEpoch * configuration.training.epochs
    let most = configuration.training.maximumSteps
    return most > 0 ? min(all, most) : all
  }

  public var optimizerSlots: [(name: String, buffer: FloatBuffer)] { optimizer.slots }

  public var targetsPerStep: Int { source.targets(inBatch: 0, epoch: 0) * configuration.training.accumulation }

  public var unusedTargets: Int {
    let used = stepsPerEpoch * configuration.training.accumulation
    let left = (min(used, source.batchesPerEpoch)..<source.batchesPerEpoch)
      .reduce(0) { $0 + source.targets(inBatch: $1, epoch: 0) }
    return source.unusedTargets + left
  }

  /// The batches of the step that comes next: as many as are added before an update, fewer where the epoch ends.
  private var nextBatches: Range<Int> {
    let accumulation = configuration.training.accumulation
    let first = progress.stepInEpoch * accumulation
    return first..<min(first + accumulation, source.batchesPerEpoch)
  }

  public func verify(meanwhile: () throws -> Void) throws {
    for block in blocks { try source.verify(block.rows, meanwhile: meanwhile) }
  }

  // MARK: - Where a run begins

  public func begin(origin: String = "", _ change: (Parameters) throws -> Void = { _ in }) throws {
    progress.origin = origin
    parameters.initialize(seed: configuration.seed)
    _ = try group.onFirst { try change(parameters) }
    try broadcastState()
  }

  public func restore(_ progress: TrainingProgress, rowStates: [Float]) throws {
    self.progress = progress
    let size = RowStates.floatsPerLane(plan.states)
    for block in blocks {
      block.states.values = Array(rowStates[block.rows.lowerBound * size..<block.rows.upperBound * size])
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

  public func gatherRowStates() throws -> [Float] {
    let own = blocks.flatMap(\.states.values).withUnsafeBytes { Array($0) }
    return try group.allGather(own).flatMap { bytes in
      bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
  }

  // MARK: - Steps

  public var epochIsComplete: Bool { progress.stepInEpoch == stepsPerEpoch }

  /// One step: a batch (several with accumulation), the exchange, one update.
  ///
  /// A step whose loss or gradient is not a number is skipped: parameters and row states stay as they were, on every rank alike, and the report says so; too many in a row throw
  /// `TrainingError.diverged`.
  public func step(notes: [Double] = []) throws -> StepReport {
    precondition(progress.finished == nil && !epochIsComplete)
    let batches = nextBatches
    let targets = batches.reduce(0) { $0 + source.targets(inBatch: $1, epoch: progress.epoch) }
    for index in losses.indices { losses[index] = 0 }
    for (before, block) in zip(statesBefore, blocks) { before.copy(from: block.states) }
    if let tree {
      try tree.sum(into: gradients) { rowGroup, gradients in
        try learn(batches, blocks[rowGroup - tree.own.lowerBound], gradients)
      }
    } else {
      times.measure(.update) { clearGradients() }
      try learn(batches, blocks[0], gradients)
    }
    // Each row's loss comes from one rank and zero from the others: the sum below is in row order everywhere.
    let shared = try times.measure(.waiting) { try group.allReduce(losses + notes) }
    let squares = tree == nil ? try times.measure(.exchange) { try exchangeGradients() } : nil
    let loss = shared.prefix(losses.count).reduce(0, +) / Double(targets)
    let report = try times.measure(.update) {
      try update(
        loss: loss, targets: targets, batches: batches.count, squares: squares,
        notes: Array(shared.dropFirst(losses.count)))
    }
    let every = configuration.training.checksumSteps
    if every > 0, progress.step % every == 0 { try compareReplicas() }
    return report
  }

  private func learn(_ batches: Range<Int>, _ block: RowBlock, _ gradients: Gradients) throws {
    let accumulation = configuration.training.accumulation
    try losses.withUnsafeMutableBufferPointer { losses in
      for (part, index) in batches.enumerated() {
        let isLast = part == batches.count - 1
        let sink = GradientSink(
          gradients, overwrites: tree == nil && part == 0, departure: tree == nil && isLast ? buckets : nil,
          times: times
        ) { [touched] in touched.note($1) }
        try block.learn(
          batch: index, epoch: progress.epoch, number: progress.step * accumulation + part,
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
  private func update(
    loss: Double, targets: Int, batches: Int, squares: Double?, notes: [Double]
  ) throws -> StepReport {
    let training = configuration.training
    // The buffer holds the sum over all targets of the global batch.
    let parts =
      switch training.gradient {
      case .tokenMean: targets
      case .laneMean: source.rows * batches
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
    progress.tokens += targets
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
      step: progress.step, epoch: progress.epoch + 1, tokens: progress.tokens, targets: targets, loss: loss,
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

  public func checkParameters() throws {
    guard sumOfSquares(parameters.buffer.pointer, count: parameters.buffer.count).isFinite else {
      throw TrainingError.diverged(step: progress.step, of: "a parameter")
    }
  }

  /// The next epoch begins at the start of every lane, from zero state. The value of an evaluation, if there is to be one,
  /// is then observed.
  public func finishEpoch() {
    precondition(epochIsComplete)
    progress.epoch += 1
    progress.stepInEpoch = 0
    for block in blocks { block.states.clear() }
    recordFinish()
  }

  public func observe(_ value: Double, step: Int, epoch: Int, isEndOfEpoch: Bool) {
    let isBest = progress.best.map { deciding.isBetter(value, than: $0) } ?? value.isFinite
    if isBest { progress.takeBest(value, step: step, epoch: epoch) }
    if isEndOfEpoch { progress.countEpoch(configuration.schedule) }
    recordFinish()
  }

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
