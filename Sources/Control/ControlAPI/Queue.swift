import TaskMetrics

/// A run in the daemon's queue.
public struct Job: Codable, Equatable, Sendable, Identifiable {
  public enum State: String, Codable, CaseIterable, Sendable {
    case waiting, running, paused, finished, failed, cancelled

    /// Whether nothing more will happen to it.
    public var isOver: Bool { self == .finished || self == .failed || self == .cancelled }
  }

  /// Counted from 1, in the order of submission.
  public var id: Int
  /// The run's name: its folder below the daemon's.
  public var name: String
  public var state: State
  /// Seconds since 1970.
  public var submitted: Double
  public var started: Double?
  public var ended: Double?
  /// How often the daemon died while it ran.
  public var deaths: Int
  /// Why it failed.
  public var error: String?
  public var step: Int?
  public var totalSteps: Int?
  /// What people look at first, of the last evaluation; in JSON as `validationPerplexity`.
  public var validation: [String: Double]

  public init(id: Int, name: String, state: State, submitted: Double) {
    self.id = id
    self.name = name
    self.state = state
    self.submitted = submitted
    deaths = 0
    validation = [:]
  }

  private enum CodingKeys: CodingKey, CaseIterable {
    case id, name, state, submitted, started, ended, deaths, error, step, totalSteps
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(id, forKey: .id)
    try container.encode(name, forKey: .name)
    try container.encode(state, forKey: .state)
    try container.encode(submitted, forKey: .submitted)
    try container.encodeIfPresent(started, forKey: .started)
    try container.encodeIfPresent(ended, forKey: .ended)
    try container.encode(deaths, forKey: .deaths)
    try container.encodeIfPresent(error, forKey: .error)
    try container.encodeIfPresent(step, forKey: .step)
    try container.encodeIfPresent(totalSteps, forKey: .totalSteps)
    try encoder.encode(metrics: validation, prefix: "validation")
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    id = try container.decode(Int.self, forKey: .id)
    name = try container.decode(String.self, forKey: .name)
    state = try container.decode(State.self, forKey: .state)
    submitted = try container.decode(Double.self, forKey: .submitted)
    started = try container.decodeIfPresent(Double.self, forKey: .started)
    ended = try container.decodeIfPresent(Double.self, forKey: .ended)
    deaths = try container.decode(Int.self, forKey: .deaths)
    error = try container.decodeIfPresent(String.self, forKey: .error)
    step = try container.decodeIfPresent(Int.self, forKey: .step)
    totalSteps = try container.decodeIfPresent(Int.self, forKey: .totalSteps)
    validation = try decoder.metrics(besides: CodingKeys.allCases, prefix: "validation")
  }
}

/// `GET /v1/queue`: in the order in which they will run, those that are over last.
public struct JobList: Codable, Equatable, Sendable {
  public var jobs: [Job]
  public init(jobs: [Job]) { self.jobs = jobs }
}
