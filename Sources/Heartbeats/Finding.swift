/// What is wrong with the ranks of a job, and which they are.
public struct Finding: Codable, Sendable, Equatable {
  public enum Kind: String, Codable, Sendable {
    /// Not heard from: frozen, its host down, or the link to it cut.
    case silent
    /// Its process ended without a farewell.
    case lost
    /// It neither works nor waits for other ranks: its storage, perhaps.
    case blocked
    /// Ranks wait for each other in calls that do not belong together.
    case deadlock
    /// All live, but no step comes to its end.
    case standstill
  }

  public var kind: Kind
  public var ranks: [Int]
  /// Theirs, each once.
  public var hosts: [String]
  /// For people: who, since when, at what, and what the others wait for.
  public var text: String
}

/// The rules by which a hub finds what is wrong. `timeout` is for how long a rank may be silent, or ranks wait for different
/// things.
public struct Judgement {
  /// What may be merely slow, such as a disk or a bad link, has so many times the timeout.
  public static let patience = 10

  let records: [RankRecord]
  let now: RankRecord.Instant
  let timeout: Duration

  /// `records` are of all ranks heard so far.
  public init(_ records: [RankRecord], at now: RankRecord.Instant, timeout: Duration) {
    self.records = records.filter { $0.farewell == nil }.sorted { $0.pulse.rank < $1.pulse.rank }
    self.now = now
    self.timeout = timeout
  }

  /// The gravest; nil if nothing is wrong.
  public var finding: Finding? {
    if let finding = silence { return finding }
    // All others wait as long as the first does for people.
    if let first = records.first, first.pulse.rank == 0, first.pulse.isResting { return nil }
    return deadlock ?? blocked ?? standstill
  }

  private var silence: Finding? {
    let silent = records.filter { now - $0.heard >= timeout }
    guard let longest = silent.map(\.heard).min() else { return nil }
    let seconds = Self.seconds(now - longest)
    let last = Self.list(silent.map { "rank \($0.pulse.rank) was \($0.pulse.place)" })
    return make(
      .silent, silent,
      "\(Self.name(silent)) \(silent.count == 1 ? "has" : "have") not been heard from for \(seconds) s: frozen, or the host is "
        + "down, or the link to it is cut. When last heard from, \(last).\(waiting(besides: silent))")
  }

  /// Calls of the same number among the same ranks that differ, for as long as the timeout.
  private var deadlock: Finding? {
    var groups: [String: [RankRecord]] = [:]
    for record in records where record.pulse.seconds >= Self.fraction(timeout) {
      guard let call = record.pulse.call, call.ordinal > 0 else { continue }
      groups["\(call.among) \(call.ordinal)", default: []].append(record)
    }
    for group in groups.values {
      let calls = Dictionary(grouping: group) { $0.pulse.call?.name ?? "" }
      guard calls.count > 1 else { continue }
      let sorted = calls.values.sorted { ($0.count, $1[0].pulse.rank) < ($1.count, $0[0].pulse.rank) }
      let (few, most) = (sorted[0], sorted[sorted.count - 1])
      guard let call = few[0].pulse.call, let other = most[0].pulse.call else { continue }
      return make(
        .deadlock, few,
        "\(Self.name(few)) waits in \(call.name) at step \(few[0].pulse.step), where \(Self.name(most)) "
          + "\(most.count == 1 ? "waits" : "wait") in \(other.name) at step \(most[0].pulse.step), as call \(call.ordinal) among "
          + "\(call.among), for \(Self.seconds(.seconds(few[0].pulse.seconds))) s: a deadlock, which is a defect of the program."
      )
    }
    return nil
  }

  /// Nobody works, and not all of those who do not wait for other ranks.
  private var blocked: Finding? {
    let limit = timeout * Self.patience
    let outside = records.filter { $0.pulse.call == nil && !$0.pulse.isResting }
    guard let first = outside.first, outside.allSatisfy({ now - $0.worked >= limit }) else { return nil }
    return make(
      .blocked, outside,
      "\(Self.name(outside)) \(outside.count == 1 ? "has" : "have") done nothing for \(Self.seconds(now - first.worked)) s, outside "
        + "MPI, \(first.pulse.place): a disk or file system that does not answer, perhaps.\(waiting(besides: outside))")
  }

  /// All wait for each other, or train without finishing a step.
  private var standstill: Finding? {
    let limit = timeout * Self.patience
    let busy = records.filter { !$0.pulse.isResting }
    guard !busy.isEmpty else { return nil }
    if busy.allSatisfy({ $0.pulse.call != nil && $0.pulse.seconds >= Self.fraction(limit) }) {
      return make(
        .standstill, busy,
        "All ranks have waited for each other for \(Self.seconds(limit)) s: \(Self.list(busy.map(\.inWords))). The network has "
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
  public var loss: Finding? {
    guard let first = records.compactMap(\.closed).min() else { return nil }
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

  private func make(_ kind: Finding.Kind, _ records: [RankRecord], _ text: String) -> Finding {
    var hosts: [String] = []
    for record in records where !hosts.contains(record.pulse.host) { hosts.append(record.pulse.host) }
    return Finding(kind: kind, ranks: records.map(\.pulse.rank), hosts: hosts, text: text)
  }

  private func waiting(besides named: [RankRecord]) -> String {
    let names = Set(named.map(\.pulse.rank))
    let others = records.filter { !names.contains($0.pulse.rank) && $0.pulse.call != nil }
    return others.isEmpty ? "" : " The others wait: \(Self.list(others.map(\.inWords)))."
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
    let pulse = pulse
    return "rank \(pulse.rank) on \(pulse.host) in \(pulse.call?.name ?? "no call") at step \(pulse.step)"
  }
}
