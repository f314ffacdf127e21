import Networks

/// The ranks of a job, some of which train while the others evaluate beside them.
public struct RankSplit {
  public enum Role {
    /// One of those that train; the first of them has the link.
    case training(any RankGroup, EvaluatorLink?)
    /// One of those that evaluate.
    case evaluating(any RankGroup, EvaluatorLink)
  }

  public let role: Role

  public init(role: Role) { self.role = role }
}

/// Between the first rank and those set aside to evaluate: tasks with the parameters they are for go one way, messages
/// come back from the first evaluator. Neither side waits for the other where it does not say so.
public protocol EvaluatorLink: AnyObject {
  // MARK: The first rank

  /// Begins handing over a task and numbers, which must stay as they are until `isSending` is false.
  func hand(_ task: [UInt8], _ numbers: UnsafeMutableBufferPointer<Float>) throws
  /// Whether a task is still on its way; moves it along.
  func isSending() throws -> Bool
  /// A message, if one has come. Only asked while one is sure to come.
  func receive() throws -> [UInt8]?

  // MARK: The evaluators

  /// Whether a task is coming.
  func isTaskComing() throws -> Bool
  /// Waits, asleep, for the next task; all evaluators take part. The numbers are filled in if there are any.
  func take(_ numbers: UnsafeMutableBufferPointer<Float>) throws -> [UInt8]
  /// Sends a message; the first evaluator alone.
  func tell(_ message: [UInt8]) throws
}
