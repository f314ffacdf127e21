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
  public var validationPerplexity: Double?

  public init(id: Int, name: String, state: State, submitted: Double) {
    self.id = id
    self.name = name
    self.state = state
    self.submitted = submitted
    deaths = 0
  }
}

/// `GET /v1/queue`: in the order in which they will run, those that are over last.
public struct JobList: Codable, Equatable, Sendable {
  public var jobs: [Job]
  public init(jobs: [Job]) { self.jobs = jobs }
}
