import Corpus
import Kernels
import Networks

extension RunConfiguration {
  /// What may stand where only some words may.
  static let choices: [String: [String]] = [
    "task": TaskKind.allCases.map(\.rawValue),
    "corpus.tokenizer": TokenizerKind.allCases.map(\.rawValue),
    "model.kind": NetworkKind.allCases.map(\.rawValue),
    "model.cell": Cell.allCases.map(\.rawValue),
    "model.activation": Activation.allCases.map(\.rawValue),
    "model.initialization.kind": Initialization.Kind.allCases.map(\.rawValue),
    "training.lastWindow": LastWindow.allCases.map(\.rawValue),
    "training.gradient": TrainingConfiguration.GradientScale.allCases.map(\.rawValue),
    "training.exchange": TrainingConfiguration.ExchangePrecision.allCases.map(\.rawValue),
    "optimizer.kind": OptimizerConfiguration.Kind.allCases.map(\.rawValue),
    "schedule.kind": ScheduleConfiguration.Kind.allCases.map(\.rawValue),
  ]

  /// Keys that take any text.
  static let textKeys: Set = [
    "name", "corpus.prepared", "corpus.cache", "corpus.vocabulary", "model.from", "output.directory",
  ]

  /// Throws a `ConfigurationError` for the first value that cannot be.
  public func validate() throws {
    try validateName()
    try validateSettings()
  }

  /// Bytes of a name: what is made of it in a folder (files, and their partial ones) has room for more.
  static let longestName = 100
  /// What the daemon has in the folder of its runs.
  static let takenNames: Set = ["control.sock", "control.token", "control.token.partial"]

  private func validateName() throws {
    try check(
      "name", name, !name.hasPrefix("-"), "one that does not begin with '-', which programs take for an option")
    try check(
      "name", "one of \(name.utf8.count) bytes", name.utf8.count <= Self.longestName, "at most \(Self.longestName)")
    try check("name", name, !Self.takenNames.contains(name), "another one: the daemon has a file of that name")
  }

  /// All but what has become stricter for the names of new runs.
  func validateSettings() throws {
    try check("name", name, Self.isFolderName(name), "a name for a folder: letters, digits, '.', '_' and '-'")
    try check(
      "model.embeddingSize", model.embeddingSize, (1...1 << 20).contains(model.embeddingSize), "a number from 1 to 2^20"
    )
    try check(
      "model.hiddenSizes", model.hiddenSizes, !model.hiddenSizes.isEmpty,
      "at least one layer, as in [200, 200]")
    let mostUnits = 1 << 20
    try check(
      "model.hiddenSizes", model.hiddenSizes, model.hiddenSizes.allSatisfy { (1...mostUnits).contains($0) },
      "1 to \(mostUnits) units in every layer")
    try check("model.hiddenSizes", "\(model.hiddenSizes.count) layers", model.hiddenSizes.count <= 1024, "at most 1024")
    try check(
      "model.dropout", model.dropout, model.dropout >= 0 && model.dropout < 1,
      "a probability: 0 or more and less than 1")
    try check(
      "model.tiedWeights", model.tiedWeights,
      !model.tiedWeights || model.embeddingSize == model.outputSize,
      "false, or an embeddingSize (\(model.embeddingSize)) equal to the last of hiddenSizes (\(model.outputSize))"
    )
    try check(
      "model.tiedWeights", model.tiedWeights, !model.tiedWeights || !model.direct, "false with model.direct")
    try check("model.window", model.window, (1...256).contains(model.window), "1 to 256 tokens")
    try atLeast("model.initialization.range", model.initialization.range, 0)
    try atLeast("training.batchSize", training.batchSize, 1)
    try atLeast("training.sequenceLength", training.sequenceLength, 1)
    try atLeast("training.windowJitter", training.windowJitter, 0)
    try check(
      "training.windowJitter", training.windowJitter, 4 * training.windowJitter <= training.sequenceLength,
      "at most a quarter of training.sequenceLength (\(training.sequenceLength))")
    try check(
      "training.windowJitter", training.windowJitter, training.windowJitter == 0 || training.lastWindow == .learn,
      "0 with training.lastWindow \(training.lastWindow.rawValue)")
    try atLeast("training.epochs", training.epochs, 0)
    try atLeast("training.maximumSteps", training.maximumSteps, 0)
    try atLeast("training.accumulation", training.accumulation, 1)
    try atLeast("training.clipNorm", training.clipNorm, 0)
    try atLeast("training.patience", training.patience, 0)
    try atLeast("training.bucketSize", training.bucketSize, 1)
    try check(
      "training.bucketSize", training.bucketSize, training.bucketSize <= 1 << 28, "at most 268435456 floats")
    try check(
      "training.exchange", training.exchange.rawValue, !training.reproducible || training.exchange == .single,
      "single, since training.reproducible is true")
    try check(
      "training.threads", training.threads, (0...4096).contains(training.threads), "0 (as the environment says) to 4096"
    )
    try check(
      "model.dropout", model.dropout, model.dropout == 0 || dropoutMasksCanBeNumbered,
      "0 for a model of over 62 layers, or windows of over 2^26 quadruples of values")
    try check(
      "optimizer.learningRate", optimizer.learningRate,
      optimizer.learningRate >= 0 && Float(optimizer.learningRate).isFinite, "0 or more, in single precision")
    for (key, value) in [
      ("momentum", optimizer.momentum), ("beta1", optimizer.beta1), ("beta2", optimizer.beta2),
      ("smoothing", optimizer.smoothing),
    ] {
      try check("optimizer.\(key)", value, value >= 0 && value < 1, "0 or more and less than 1")
    }
    try check(
      "optimizer.epsilon", optimizer.epsilon, Float(optimizer.epsilon) > 0 && Float(optimizer.epsilon).isFinite,
      "more than 0, in single precision")
    try check(
      "training.laneGroups", training.laneGroups,
      (1...training.batchSize).contains(training.laneGroups) || !training.reproducible,
      "1 to training.batchSize (\(training.batchSize))")
    try check(
      "training.threads", training.threads, training.threads <= 1 || !training.reproducible,
      "0 or 1 with training.reproducible")
    try atLeast("training.checksumSteps", training.checksumSteps, 0)
    try atLeast("training.timeLimit", training.timeLimit, 0)
    try check(
      "training.stallTimeout", training.stallTimeout,
      training.stallTimeout == 0 || (3...1e6).contains(training.stallTimeout),
      "0 (no limit for stalled ranks) or 3 to a million seconds")
    try atLeast("optimizer.weightDecay", optimizer.weightDecay, 0)
    try check("schedule.factor", schedule.factor, schedule.factor > 0 && schedule.factor <= 1, "in (0, 1]")
    try atLeast("schedule.fullEpochs", schedule.fullEpochs, 0)
    try atLeast("schedule.warmupSteps", schedule.warmupSteps, 0)
    try check(
      "schedule.minimumRate", schedule.minimumRate,
      schedule.minimumRate >= 0 && schedule.minimumRate <= optimizer.learningRate,
      "0 to optimizer.learningRate (\(optimizer.learningRate))")
    try check("output.directory", "empty", !output.directory.isEmpty, "a folder")
    try atLeast("schedule.patience", schedule.patience, 0)
    try atLeast("evaluation.lanes", evaluation.lanes, 1)
    try atLeast("generation.length", generation.length, 0)
    try check(
      "generation.temperatures", generation.temperatures,
      generation.temperatures.allSatisfy { $0 >= 0 && $0.isFinite }, "temperatures of 0 or more")
    try atLeast("output.curveSteps", output.curveSteps, 1)
    try atLeast("output.keep", output.keep, 0)
    try atLeast("output.reportSeconds", output.reportSeconds, 0)
    try atLeast("output.diskBudget", output.diskBudget, 0)
    try check(
      "output.stragglerRatio", output.stragglerRatio,
      output.stragglerRatio == 0 || (1...1e6).contains(output.stragglerRatio), "0 (none is named) or 1 and more")
    try checkIntervals()
    do {
      try corpus.validate()
    } catch let error as CorpusError {
      throw ConfigurationError(key: error.place, problem: "\(error)")
    }
  }

  private func checkIntervals() throws {
    for (key, intervals) in [
      ("evaluate", coordinator.evaluate), ("generate", coordinator.generate), ("checkpoint", coordinator.checkpoint),
    ] {
      try check(
        "coordinator.\(key)", intervals.map(\.description), intervals.allSatisfy { $0.isPositive },
        "intervals of more than nothing")
    }
    try atLeast("coordinator.evaluators", coordinator.evaluators, 0)
    try check(
      "coordinator.evaluators", coordinator.evaluators,
      coordinator.evaluators == 0 || !training.reproducible || (training.patience == 0 && schedule.kind != .plateau),
      "0 with training.reproducible and patience or a plateau, which then depend on when evaluations are done")
    let evaluatesEpochs = coordinator.evaluate.contains { if case .epochs = $0 { true } else { false } }
    for (key, isUsed) in [
      ("training.patience", training.patience > 0), ("schedule.kind", schedule.kind == .plateau),
    ] {
      try check(
        "coordinator.evaluate", coordinator.evaluate.map(\.description), evaluatesEpochs || !isUsed,
        "an interval in epochs, such as [1 epoch], since \(key) looks at validation at their end")
    }
  }

  private static func isFolderName(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".")
      && name.unicodeScalars.allSatisfy {
        $0.properties.isAlphabetic || $0.properties.numericType != nil || "._-".unicodeScalars.contains($0)
      }
  }

  /// See `Dropout`: masks are numbered by place, 6 bits, and by quadruple of values, 26 bits.
  private var dropoutMasksCanBeNumbered: Bool {
    let embedded = model.embeddingSize * (model.kind == .window ? model.window : 1)
    let widest = max(embedded, model.hiddenSizes.max() ?? 0)
    let (quadruples, overflow) = ((widest + 3) / 4).multipliedReportingOverflow(by: training.longestWindow)
    return model.hiddenSizes.count < 63 && !overflow && quadruples < 1 << 26
  }

  private func check(_ key: String, _ value: some Any, _ holds: Bool, _ expected: String) throws {
    guard !holds else { return }
    throw ConfigurationError(key: key, problem: "\(key) is \(shortened("\(value)")); expected \(expected)")
  }

  /// Also refuses what is not a number or has no end.
  private func atLeast(_ key: String, _ value: Double, _ least: Int) throws {
    try check(key, value, value >= Double(least) && value <= 1e9, "a number from \(least) to 1e9")
  }

  private func atLeast(_ key: String, _ value: Int, _ least: Int) throws {
    try check(key, value, value >= least && value <= 1 << 30, "a whole number from \(least) to 2^30")
  }
}
