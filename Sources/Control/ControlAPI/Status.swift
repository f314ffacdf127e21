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
  /// Of the last step, nats per token.
  public var loss: Double?
  public var perplexity: Double?
  public var learningRate: Double?
  /// Before clipping.
  public var gradientNorm: Double?
  public var tokensPerSecond: Double?
  public var secondsLeft: Double?
  public var validationLoss: Double?
  public var validationPerplexity: Double?
  public var bestLoss: Double?
  public var bestPerplexity: Double?
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

  public init(name: String) {
    self.name = name
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
