/// All that a hub knows of a rank.
public struct RankRecord: Sendable, Equatable {
  public typealias Instant = ContinuousClock.Instant

  public private(set) var pulse: RankActivity
  public private(set) var heard: Instant
  public private(set) var exitReport: ExitReport?
  private(set) var parted: Instant?
  /// When its connection was closed, if it is.
  public internal(set) var closed: Instant?
  /// When the thread that trains was last seen to have worked, and how much it had then.
  private(set) var worked: Instant
  private var work: Double
  /// When it was last seen to have finished a step or begun something else.
  private(set) var moved: Instant

  /// Processor time, in seconds, that counts as work: looking at a clock now and then is none.
  private static let leastWork = 0.02

  init(_ pulse: RankActivity, at now: Instant) {
    self.pulse = pulse
    (heard, worked, moved) = (now, now, now)
    work = pulse.work
  }

  mutating func hear(_ new: RankActivity, at now: Instant) {
    guard new.process == pulse.process else {
      self = RankRecord(new, at: now)
      return
    }
    if new.work - work > Self.leastWork { (worked, work) = (now, new.work) }
    if new.step != pulse.step || new.activity != pulse.activity { moved = now }
    (pulse, heard, closed) = (new, now, nil)
  }

  mutating func part(_ exitReport: ExitReport, at now: Instant) { (self.exitReport, parted) = (exitReport, now) }

  /// Resets the silence of a rank after a time in which the hub did not listen.
  mutating func excuse(until now: Instant) { (heard, worked, moved) = (now, now, now) }
}
