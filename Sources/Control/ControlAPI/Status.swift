import TaskMetrics

/// How a daemon and its run stand: what `GET /v1/status` answers and `status` events carry.
public struct Status: Codable, Equatable, Sendable {
  /// `run` for one run alone, `serve` for a queue.
  public enum Mode: String, Codable, CaseIterable, Sendable { case run, serve }

  /// What the ranks do now.
  public enum Activity: String, Codable, CaseIterable, Sendable {
    case idle, preparing, training, evaluating, generating, saving, paused, stopping, finished
  }

  public var mode: Mode
  public var activity: Activity
  /// Version of the program.
  public var version: String
  /// The run under way, or the last one while the daemon is idle.
  public var run: RunStatus?
  public var ranks: [RankStatus]
  /// Seconds since the daemon was started.
  public var uptime: Double

  public init(
    mode: Mode, activity: Activity, version: String, run: RunStatus? = nil, ranks: [RankStatus] = [],
    uptime: Double = 0
  ) {
    self.mode = mode
    self.activity = activity
    self.version = version
    self.run = run
    self.ranks = ranks
    self.uptime = uptime
  }
}

/// Where a run stands. What is not known yet, or not a number, is left out.
public struct RunStatus: Codable, Equatable, Sendable {
  public var name: String
  public var step: Int
  public var totalSteps: Int
  /// The epoch under way, from 1.
  public var epoch: Int
  public var epochs: Int
  /// Tokens learned from.
  public var tokens: Int
  /// What is measured, in the order in which it is shown.
  public var metrics: [Metric]
  /// Of the last step; in JSON beside the other keys, as `perplexity`.
  public var training: [String: Double]
  public var learningRate: Double?
  /// Before clipping.
  public var gradientNorm: Double?
  public var tokensPerSecond: Double?
  public var secondsLeft: Double?
  /// Of the last evaluation, and of the best: in JSON as `validationPerplexity`, `bestPerplexity`.
  public var validation: [String: Double]
  public var best: [String: Double]
  public var bestStep: Int?
  public var skippedSteps: Int
  /// Checkpoints saved since the program was started, and those that had to wait for the one before.
  public var savedCheckpoints: Int
  public var delayedCheckpoints: Int
  /// The step of the newest checkpoint that is safe on a second host too, and that host; where copies are kept.
  public var copiedStep: Int?
  public var copyHost: String?
  /// Parameters of the model.
  public var parameters: Int

  public init(name: String, metrics: [Metric] = .ofLanguageModels) {
    self.name = name
    self.metrics = metrics
    training = [:]
    validation = [:]
    best = [:]
    step = 0
    totalSteps = 0
    epoch = 0
    epochs = 0
    tokens = 0
    skippedSteps = 0
    savedCheckpoints = 0
    delayedCheckpoints = 0
    parameters = 0
  }
}

extension RunStatus {
  private enum CodingKeys: CodingKey {
    case name, step, totalSteps, epoch, epochs, tokens, metrics, learningRate, gradientNorm, tokensPerSecond
    case secondsLeft, bestStep, skippedSteps, savedCheckpoints, delayedCheckpoints, copiedStep, copyHost, parameters
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(step, forKey: .step)
    try container.encode(totalSteps, forKey: .totalSteps)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(epochs, forKey: .epochs)
    try container.encode(tokens, forKey: .tokens)
    try container.encode(metrics, forKey: .metrics)
    try encoder.encode(metrics: training)
    try container.encodeIfPresent(learningRate, forKey: .learningRate)
    try container.encodeIfPresent(gradientNorm, forKey: .gradientNorm)
    try container.encodeIfPresent(tokensPerSecond, forKey: .tokensPerSecond)
    try container.encodeIfPresent(secondsLeft, forKey: .secondsLeft)
    try encoder.encode(metrics: validation, prefix: "validation")
    try encoder.encode(metrics: best, prefix: "best")
    try container.encodeIfPresent(bestStep, forKey: .bestStep)
    try container.encode(skippedSteps, forKey: .skippedSteps)
    try container.encode(savedCheckpoints, forKey: .savedCheckpoints)
    try container.encode(delayedCheckpoints, forKey: .delayedCheckpoints)
    try container.encodeIfPresent(copiedStep, forKey: .copiedStep)
    try container.encodeIfPresent(copyHost, forKey: .copyHost)
    try container.encode(parameters, forKey: .parameters)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    // Daemons of before have those of language models.
    let metrics = try container.decodeIfPresent([Metric].self, forKey: .metrics) ?? .ofLanguageModels
    try self.init(name: container.decode(String.self, forKey: .name), metrics: metrics)
    step = try container.decode(Int.self, forKey: .step)
    totalSteps = try container.decode(Int.self, forKey: .totalSteps)
    epoch = try container.decode(Int.self, forKey: .epoch)
    epochs = try container.decode(Int.self, forKey: .epochs)
    tokens = try container.decode(Int.self, forKey: .tokens)
    training = try decoder.metrics(metrics.map(\.name))
    learningRate = try container.decodeIfPresent(Double.self, forKey: .learningRate)
    gradientNorm = try container.decodeIfPresent(Double.self, forKey: .gradientNorm)
    tokensPerSecond = try container.decodeIfPresent(Double.self, forKey: .tokensPerSecond)
    secondsLeft = try container.decodeIfPresent(Double.self, forKey: .secondsLeft)
    validation = try decoder.metrics(metrics.map(\.name), prefix: "validation")
    best = try decoder.metrics(metrics.map(\.name), prefix: "best")
    bestStep = try container.decodeIfPresent(Int.self, forKey: .bestStep)
    skippedSteps = try container.decode(Int.self, forKey: .skippedSteps)
    savedCheckpoints = try container.decode(Int.self, forKey: .savedCheckpoints)
    delayedCheckpoints = try container.decode(Int.self, forKey: .delayedCheckpoints)
    copiedStep = try container.decodeIfPresent(Int.self, forKey: .copiedStep)
    copyHost = try container.decodeIfPresent(String.self, forKey: .copyHost)
    parameters = try container.decode(Int.self, forKey: .parameters)
  }
}

/// One rank.
public struct RankStatus: Codable, Equatable, Sendable {
  /// Whether it trains, or has been set aside to evaluate and generate.
  public enum Role: String, Codable, CaseIterable, Sendable { case training, evaluating }

  public var rank: Int
  public var host: String
  public var role: Role
  /// Seconds of its own work in a step, mean over the last few.
  public var stepSeconds: Double
  /// Seconds it waited for other ranks in a step, likewise.
  public var waitSeconds: Double
  /// Whether others wait for it: its work takes `output.stragglerRatio` times that of the median rank, lane for lane.
  public var isStraggler: Bool

  public init(
    rank: Int, host: String, role: Role = .training, stepSeconds: Double = 0, waitSeconds: Double = 0,
    isStraggler: Bool = false
  ) {
    self.rank = rank
    self.host = host
    self.role = role
    self.stepSeconds = stepSeconds
    self.waitSeconds = waitSeconds
    self.isStraggler = isStraggler
  }

  /// Daemons of before know no stragglers.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      rank: fields.decode(Int.self, forKey: .rank), host: fields.decode(String.self, forKey: .host),
      role: fields.decode(Role.self, forKey: .role), stepSeconds: fields.decode(Double.self, forKey: .stepSeconds),
      waitSeconds: fields.decode(Double.self, forKey: .waitSeconds),
      isStraggler: fields.decodeIfPresent(Bool.self, forKey: .isStraggler) ?? false)
  }
}
