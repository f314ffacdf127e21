import ControlAPI

/// A daemon that cannot be asked, or an answer that is none.
public struct ControlError: Error, CustomStringConvertible, Equatable {
  public enum Reason: Equatable, Sendable {
    /// There is nothing at the address, or nothing that lets us in.
    case unreachable
    /// The daemon went away, or said nothing for too long, in the middle of an answer.
    case lost
    /// The daemon says no.
    case refused(ErrorBody)
    /// What answers is no daemon of this version.
    case unexpected
  }

  public let reason: Reason
  /// What was expected, what was found, what to do.
  public let description: String

  init(_ reason: Reason, _ description: String) {
    self.reason = reason
    self.description = description
  }

  /// A stream of events that came to its end: the daemon ends, or has ended it.
  public static let streamEnded = Self(.lost, "the daemon has ended the connection")

  static func wentAway(_ name: String) -> Self {
    Self(.lost, "the daemon at \(name) went away in the middle of an answer")
  }

  /// There is no job to follow.
  public static let nothingToDo = Self(
    .unexpected, "no job runs or waits; lockstep job submit CONFIG puts one in the queue, lockstep job list shows it")

  /// Whether it may be otherwise in a moment, as when a daemon is started again.
  public var isPassing: Bool {
    switch reason {
    case .unreachable, .lost: true
    case .refused(let body): body.code == "busy" || body.code == "timeout"
    case .unexpected: false
    }
  }
}
