/// What is wrong with the ranks of a job, and which they are.
public struct Diagnosis: Codable, Sendable, Equatable {
  public enum Kind: String, Codable, Sendable {
    /// Not heard from: frozen, its host down, or the link to it cut.
    case silent
    /// Its process ended without an exit report.
    case lost
    /// It neither works nor waits for other ranks: its storage, perhaps.
    case blocked
    /// Ranks wait for each other in calls that do not belong together.
    case deadlock
    /// All ranks report, but no step completes.
    case standstill
  }

  public var kind: Kind
  public var ranks: [Int]
  /// Theirs, each once.
  public var hosts: [String]
  /// A message for people: the rank, the time, its activity, and what the others wait for.
  public var text: String
}

/// The rules by which a hub finds what is wrong. `timeout` is for how long a rank may be silent, or ranks wait for different
/// things.
public struct FailureDetector {
  /// What may be merely slow, such as a disk or a bad link, has so many times the timeout.
  public static let patience = 10

  /// Records of ranks that have not sent an exit report.
  let records: [RankRecord]
  /// Time of the first exit report with an error.
  let failed: RankRecord.Instant?
  let now: RankRecord.Instant
  let timeout: Duration

  /// `records` are of all ranks heard so far.
  public init(_ records: [RankRecord], at now: RankRecord.Instant, timeout: Duration) {
    self.records = records.filter { $0.exitReport == nil }.sorted { $0.pulse.rank < $1.pulse.rank }
    failed = records.filter { $0.exitReport.map { $0.status != 0 } ?? false }.compactMap(\.parted).min()
    self.now = now
    self.timeout = timeout
  }

  /// The gravest; nil if nothing is wrong.
  public var diagnosis: Diagnosis? {
    if let diagnosis = silence { return diagnosis }
    // All others wait as long as the first does for people.
    if let first = records.first, first.pulse.rank == 0, first.pulse.isResting { return nil }
    return deadlock ?? blocked ?? standstill
  }

  private var silence: Diagnosis? {
    let silent = records.filter { now - $0.heard >= timeout }
    guard let longest = silent.map(\.heard).min() else { return nil }
    let seconds = Self.seconds(now - longest)
    let last = Self.list(silent.map { "rank \($0.pulse.rank) was \($0.pulse.place)" })
    return make(
      .silent, silent,
      "\(Self.name(silent)) \(silent.count == 1 ? "has" : "have") not been heard from for \(seconds) s: frozen, or the host is "
        + "down, or the link to it is cut. When last heard from, \(last).\(waiting(besides: silent))")
  }

  private var deadlock: Diagnosis? {
    let waiting = records.filter { $0.pulse.seconds >= Self.fraction(timeout) && ($0.pulse.call?.ordinal ?? 0) > 0 }
    guard let stuck = mismatch(waiting) ?? cycle(waiting) else { return nil }
    // The fewest that wait for one thing are those that went astray.
    let groups = Dictionary(grouping: stuck) { $0.pulse.call }.values
      .sorted { ($0.count, $1[0].pulse.rank) < ($1.count, $0[0].pulse.rank) }
    guard let few = groups.first, let most = groups.last, groups.count > 1 else { return nil }
    return make(
      .deadlock, few,
      "\(Self.name(few)) \(few.count == 1 ? "waits" : "wait") in \(few[0].inWords), where \(Self.name(most)) "
        + "\(most.count == 1 ? "waits" : "wait") in \(most[0].inWords), for \(Self.seconds(.seconds(few[0].pulse.seconds))) s: a deadlock, "
        + "which is a defect of the program.")
  }

  /// Ranks whose calls have the same number among the same ranks, and differ.
  private func mismatch(_ waiting: [RankRecord]) -> [RankRecord]? {
    let places = Dictionary(grouping: waiting) { "\($0.pulse.call?.among ?? "") \($0.pulse.call?.ordinal ?? 0)" }
    return places.values.first { Set($0.map(\.pulse.call?.name)).count > 1 }
  }

  /// Ranks in a circle: each waits in a call that the next one has not started.
  private func cycle(_ waiting: [RankRecord]) -> [RankRecord]? {
    var left = waiting
    while true {
      let next = left.filter { record in
        guard let call = record.pulse.call else { return false }
        return left.contains { ($0.pulse.counts[call.among] ?? .max) < call.ordinal }
      }
      if next.count == left.count { return next.isEmpty ? nil : next }
      left = next
    }
  }

  /// What has not begun is not slow: then there is little to be patient with.
  private var limit: Duration {
    timeout * (records.allSatisfy { $0.pulse.activity == RankActivity.starting } ? 2 : Self.patience)
  }

  /// No rank works, and some ranks that do not wait for others are blocked outside MPI.
  private var blocked: Diagnosis? {
    let outside = records.filter { $0.pulse.call == nil && !$0.pulse.isResting }
    guard let first = outside.first, outside.allSatisfy({ now - $0.worked >= limit }) else { return nil }
    return make(
      .blocked, outside,
      "\(Self.name(outside)) \(outside.count == 1 ? "has" : "have") done nothing for \(Self.seconds(now - first.worked)) s, outside "
        + "MPI, \(first.pulse.place): a disk or file system that does not answer, perhaps.\(waiting(besides: outside))")
  }

  /// All wait for each other, or train without finishing a step.
  private var standstill: Diagnosis? {
    let busy = records.filter { !$0.pulse.isResting }
    guard !busy.isEmpty else { return nil }
    if busy.allSatisfy({ $0.pulse.call != nil && $0.pulse.seconds >= Self.fraction(limit) }) {
      return make(
        .standstill, busy,
        "All ranks have waited for each other for \(Self.seconds(limit)) s: \(Self.list(busy.map { "\(Self.name([$0])) in \($0.inWords)" })). The network has "
          + "stopped carrying what they send, or is far too slow.")
    }
    let stuck = busy.filter { $0.pulse.call == nil }
    guard let first = stuck.first, busy.allSatisfy({ $0.pulse.activity == "training" && now - $0.moved >= limit })
    else { return nil }
    return make(
      .standstill, stuck,
      "\(Self.name(stuck)) \(stuck.count == 1 ? "has" : "have") computed for \(Self.seconds(now - first.moved)) s without finishing "
        + "step \(first.pulse.step + 1).\(waiting(besides: stuck))")
  }

  /// The first ranks whose processes ended without a word, after the job has ended; those that ended because of them
  /// come later.
  public var loss: Diagnosis? {
    guard let first = records.compactMap(\.closed).min(), failed.map({ first < $0 }) ?? true else { return nil }
    let lost = records.filter { record in
      guard let closed = record.closed else { return false }
      return closed - first < Self.together
    }
    // Processes of one host die together, others because of them.
    guard let host = lost.min(by: { $0.closed ?? now < $1.closed ?? now })?.pulse.host else { return nil }
    let there = lost.filter { $0.pulse.host == host }
    let ofHost = records.filter { $0.pulse.host == host }
    let all = there.count == ofHost.count && records.count > ofHost.count && ofHost.count > 1
    return make(
      .lost, there,
      "\(Self.name(there)) ended without a word, \(there[0].pulse.place): killed, or \(all ? "the host went down" : "crashed")."
    )
  }

  /// Deaths this close to each other have one cause.
  private static let together = Duration.milliseconds(20)

  private func make(_ kind: Diagnosis.Kind, _ records: [RankRecord], _ text: String) -> Diagnosis {
    var hosts: [String] = []
    for record in records where !hosts.contains(record.pulse.host) { hosts.append(record.pulse.host) }
    return Diagnosis(kind: kind, ranks: records.map(\.pulse.rank), hosts: hosts, text: text)
  }

  private func waiting(besides named: [RankRecord]) -> String {
    let names = Set(named.map(\.pulse.rank))
    let others = records.filter { !names.contains($0.pulse.rank) && $0.pulse.call != nil }
    return others.isEmpty ? "" : " The others wait: \(Self.list(others.map { "\(Self.name([$0])) in \($0.inWords)" }))."
  }

  /// "rank 2 on node3", "ranks 2 and 3 on node3, rank 4 on node4".
  private static func name(_ records: [RankRecord]) -> String {
    var hosts: [(String, [Int])] = []
    for record in records {
      if let index = hosts.firstIndex(where: { $0.0 == record.pulse.host }) {
        hosts[index].1.append(record.pulse.rank)
      } else {
        hosts.append((record.pulse.host, [record.pulse.rank]))
      }
    }
    return hosts.map { host, ranks in
      "\(ranks.count == 1 ? "rank" : "ranks") \(list(ranks.map(String.init), joined: " and ")) on \(host)"
    }.joined(separator: ", ")
  }

  /// At most four of them.
  private static func list(_ items: [String], joined last: String = ", ") -> String {
    let shown = items.prefix(4)
    if items.count > shown.count { return shown.joined(separator: ", ") + " and \(items.count - shown.count) more" }
    guard shown.count > 1 else { return shown.joined() }
    return shown.dropLast().joined(separator: ", ") + last + shown[shown.count - 1]
  }

  private static func seconds(_ duration: Duration) -> Int { Int((duration / .seconds(1)).rounded()) }
  private static func fraction(_ duration: Duration) -> Double { duration / .seconds(1) }
}

extension RankRecord {
  fileprivate var inWords: String {
    guard let call = pulse.call else { return "step \(pulse.step), \(pulse.activity)" }
    let number = call.ordinal > 0 ? " (call \(call.ordinal) among \(call.among))" : ""
    return "\(call.name)\(number) at step \(pulse.step)"
  }
}
