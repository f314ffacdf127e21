/// The report of a rank, sent about once a second by a dedicated thread.
public struct RankActivity: Codable, Sendable, Equatable {
  /// The call of MPI in which a rank waits for others.
  public struct Call: Codable, Sendable, Hashable {
    /// The C function.
    public var name: String
    /// The ranks that make it together, in words.
    public var among: String
    /// How many calls these ranks had begun on this rank, it included: the same number is the same call.
    public var ordinal: Int

    public init(name: String, among: String, ordinal: Int) {
      self.name = name
      self.among = among
      self.ordinal = ordinal
    }
  }

  /// The activity of a rank that has told of none yet.
  public static let starting = "starting"

  public var rank: Int
  /// Of the job.
  public var ranks: Int
  public var host: String
  public var process: Int32
  /// Steps trained.
  public var step = 0
  /// What it does, as people say it: training, evaluating.
  public var activity = RankActivity.starting
  /// Waits for people or for something to do: a pause, an empty queue. It may last for ever.
  public var isResting = false
  public var call: Call?
  /// How many calls the ranks of each name had begun together on this rank.
  public var counts: [String: Int] = [:]
  /// For how long it has been in that call, or in none.
  public var seconds = 0.0
  /// What the run says of how long a rank may stand still, in seconds; nil before it has.
  public var stallTimeout: Double?
  /// Of the first rank: the checkpoint before its newest, which other hosts should have by now.
  public var savedStep: Int?
  /// Processor time of the thread that trains, in seconds.
  public var work = 0.0

  public init(rank: Int, ranks: Int, host: String, process: Int32) {
    self.rank = rank
    self.ranks = ranks
    self.host = host
    self.process = process
  }

  var place: String {
    let doing = "at step \(step), \(activity)"
    return call.map { "\(doing), in \($0.name)" } ?? doing
  }
}

/// A rank's last word, before its process ends.
public struct ExitReport: Codable, Sendable, Equatable {
  /// Exit status of a rank that ended because a rank stalled: EX_PROTOCOL of sysexits.h. The run can be resumed.
  public static let stalledStatus: Int32 = 76

  /// The exit status that it is about to have.
  public var status: Int32
  /// What went wrong, if something did.
  public var message: String?
  /// Whether it need not come again when the job is started again: what others have met with may be the cause.
  public var mayPass: Bool

  public init(status: Int32, message: String? = nil, mayPass: Bool = false) {
    self.status = status
    self.message = message
    self.mayPass = mayPass
  }
}

/// One line of what ranks send; the first one has the hub's token.
struct RankMessage: Codable {
  var token: String?
  var pulse: RankActivity?
  var exitReport: ExitReport?
}

/// One line of what a hub answers to every pulse.
struct HubMessage: Codable {
  /// A signal's number once the ranks are asked to save and stop.
  var stop: Int32?
}
