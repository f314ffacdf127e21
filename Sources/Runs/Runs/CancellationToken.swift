import Glibc
import Training

/// Tells every rank, in the middle of whatever may take long, that the run is to stop: what only the first rank knows of (a
/// time limit, a cancelled job) and what any rank is asked (signals).
///
/// The first rank sends each of the others one separate message. A rank that receives it throws `StopRequest`
/// out of its loop, and `together` has all ranks do so. For one thread.
final class CancellationToken {
  private let group: any RankGroup
  private let own: () -> String?
  private let link: (any RankLink)?
  private var reason: String?
  private var failure: (any Error)?
  /// Whether the first rank has told the others, or this one has been told.
  private var isRung = false
  private var lastLook: ContinuousClock.Instant?

  /// Looks so often, at most.
  private static let interval = Duration.milliseconds(20)

  /// `own` says why this rank is to stop, nil while it is not. All ranks take part.
  init(_ group: any RankGroup, _ own: @escaping () -> String?) throws {
    self.group = group
    self.own = own
    link = group.count > 1 ? try group.makeLink() : nil
  }

  /// Throws `StopRequest` if the run is to stop. May be called as often as one likes.
  func check() throws {
    look()
    if let failure { throw failure }
    if let reason { throw StopRequest(reason: reason) }
  }

  /// Whether the run is to stop.
  func isRinging() -> Bool {
    look()
    return reason != nil
  }

  /// Takes note of it, and on the first rank tells the others.
  func look() {
    let now = ContinuousClock.now
    if reason != nil || lastLook.map({ now - $0 < Self.interval }) == true { return }
    lastLook = now
    do {
      reason = try own() ?? heard()
      if let reason { try ring(reason) }
    } catch {
      failure = error
    }
  }

  private func heard() throws -> String? {
    guard !group.isFirst, !isRung, let said = try link?.receive(from: 0) else { return nil }
    isRung = true
    return said.isEmpty ? nil : String(decoding: said, as: UTF8.self)
  }

  /// The run is over, for whatever reason: nothing of the cancellation stays under way. All ranks take part.
  func end() throws {
    if group.isFirst { try ring("") }
    while !group.isFirst && !isRung {
      _ = try heard()
      usleep(200)
    }
  }

  private func ring(_ reason: String) throws {
    guard group.isFirst, !isRung else { return }
    isRung = true
    for rank in 1..<max(1, group.count) { try link?.send(Array(reason.utf8), to: rank) }
  }

  /// Runs `body`, which makes no call on `ranks`, on each of them; those that are done earlier wait asleep. What fails
  /// anywhere fails everywhere. All ranks of `ranks` take part; nil: all there are.
  func together<Value>(of ranks: (any RankGroup)? = nil, _ body: () throws -> Value) throws -> Value {
    let ranks = ranks ?? group
    let outcome = Result { try body() }
    try ranks.waitForAll { look() }
    return try ranks.together { try outcome.get() }
  }

  /// The same of the first rank alone; the others get nil.
  func onFirst<Value>(_ body: () throws -> Value) throws -> Value? { try together { group.isFirst ? try body() : nil } }

  /// For a piece of work that is not given up in its first two seconds: most is done by then, and need not be done again.
  func patiently() -> () throws -> Void {
    let begin = ContinuousClock.now
    return { [self] in
      if ContinuousClock.now - begin < Self.patience { look() } else { try check() }
    }
  }

  private static let patience = Duration.seconds(2)
}
