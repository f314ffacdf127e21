import Runs

/// How an attempt to train ended.
public struct AttemptEnding: Equatable, Sendable {
  /// Of what started the ranks.
  public var ending: ChildProcess.Ending
  /// What the ranks said or were seen to do.
  public var verdict: RankVerdict
  /// Whether it was asked to stop.
  public var wasAsked: Bool
  /// Seconds from its first step to its end.
  public var trainedSeconds: Double
  /// When it was found that ranks stand still, on the supervisor's clock; nil if they ended before.
  public var foundAt: Double?

  public init(
    _ ending: ChildProcess.Ending, verdict: RankVerdict = RankVerdict(), wasAsked: Bool = false,
    trainedSeconds: Double = 0, foundAt: Double? = nil
  ) {
    self.ending = ending
    self.verdict = verdict
    self.wasAsked = wasAsked
    self.trainedSeconds = trainedSeconds
    self.foundAt = foundAt
  }
}

/// Decides whether ranks are started again.
public struct RestartPolicy: Sendable {
  public enum Decision: Equatable, Sendable {
    case end(status: Int32)
    case restart(after: Double)
    /// Too many restarts.
    case giveUp(status: Int32)
  }

  /// EX_USAGE: what is wrong with the command line.
  private static let usageError: Int32 = 64
  private static let longestDelay = 60.0
  /// Seconds of training after which the next fault counts as a first one.
  private static let calm = 600.0

  private let maximum: Int
  /// Whether it is a daemon, which an error of one run must not end for good.
  private let isDaemon: Bool
  public private(set) var restarts = 0
  private var delay = 1.0

  public init(maximum: Int, isDaemon: Bool = false) {
    self.maximum = maximum
    self.isDaemon = isDaemon
  }

  public mutating func decide(_ attempt: AttemptEnding) -> Decision {
    let (status, stopped) = (attempt.ending.status, Interruption.exitStatus)
    // Ranks that were told to end because another stands still have stopped as well, but nobody has asked for it.
    let isStall = attempt.verdict.diagnosis != nil && !attempt.wasAsked
    if status == 0 || (status == stopped && !isStall) { return .end(status: status) }
    if attempt.wasAsked { return .end(status: status) }
    // Of a daemon an error may be that of one run, which it has marked.
    if status == Self.usageError || (attempt.verdict.isError && !isDaemon) { return .end(status: status) }
    if attempt.trainedSeconds >= Self.calm {
      delay = 1
      if isDaemon { restarts = 0 }
    }
    guard restarts < maximum else { return .giveUp(status: status) }
    restarts += 1
    defer { delay = min(2 * delay, Self.longestDelay) }
    return .restart(after: delay)
  }
}
