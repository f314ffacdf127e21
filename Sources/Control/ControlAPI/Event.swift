/// What `GET /v1/events` sends, each under its name. A follower that is slow misses `status` events, no others.
public enum Event: Codable, Equatable, Sendable {
  /// About once a second, and when the activity changes.
  case status(Status)
  /// New rows of the curves.
  case curves(CurveTables)
  case evaluation(EvaluationResult)
  case sample(SampleText)
  /// A job has changed.
  case job(Job)
  /// A line for people: warnings, checkpoints, ends.
  case log(LogLine)

  /// The name in the stream.
  public var name: String {
    switch self {
    case .status: "status"
    case .curves: "curves"
    case .evaluation: "evaluation"
    case .sample: "sample"
    case .job: "job"
    case .log: "log"
    }
  }
}

public struct LogLine: Codable, Equatable, Sendable {
  public enum Level: String, Codable, CaseIterable, Sendable { case info, warning, error }
  /// Seconds since 1970.
  public var time: Double
  public var level: Level
  public var message: String

  public init(time: Double, level: Level, message: String) {
    self.time = time
    self.level = level
    self.message = message
  }
}
