import Training

/// Finds the ranks that the others keep waiting for, and names the slowest now and then.
struct Stragglers {
  /// Seconds for which a rank has to be slow before it is named, and between two times it is.
  static let patience = Duration.seconds(10)
  static let interval = Duration.seconds(300)

  /// A rank is slow whose work in a step takes so many times that of the median rank; 0: none is.
  private let ratio: Double
  /// Lanes of each rank: more of them take longer, which nobody need be told.
  private let lanes: [Int]
  private let hosts: [String]
  private var slow: (rank: Int, since: ContinuousClock.Instant)?
  private var told: [Int: ContinuousClock.Instant] = [:]

  init(ratio: Double, lanes: [Int], hosts: [String]) {
    self.ratio = ratio
    self.lanes = lanes
    self.hosts = hosts
  }

  /// Marks the ranks that are slow now, and gives a warning if there is one to give.
  mutating func hear(_ paces: inout [RankPace], at now: ContinuousClock.Instant) -> String? {
    let times = timesMedian(paces)
    for index in paces.indices { paces[index].isStraggler = ratio > 0 && times[index] > ratio }
    guard let slowest = paces.indices.max(by: { times[$0] < times[$1] }), paces[slowest].isStraggler else {
      slow = nil
      return nil
    }
    let pace = paces[slowest]
    if slow?.rank != pace.rank { slow = (pace.rank, now) }
    guard let slow, now - slow.since >= Self.patience, told[pace.rank].map({ now - $0 >= Self.interval }) ?? true
    else { return nil }
    told[pace.rank] = now
    return
      "rank \(pace.rank) on \(hosts[pace.rank]) is slow: its work in a step takes \(Self.milliseconds(pace.workSeconds)), "
      + "\((times[slowest] * 10).rounded() / 10) times that of the median rank, and the others wait for it; look what else that "
      + "host does, or leave it out"
  }

  /// Of each rank, how many times as long its work for a lane takes as the median rank's; 0 for one without lanes, which
  /// waits for all others, and where nothing can be compared.
  private func timesMedian(_ paces: [RankPace]) -> [Double] {
    let work = paces.map { lanes[$0.rank] > 0 ? $0.workSeconds / Double(lanes[$0.rank]) : nil }
    let sorted = work.compactMap { $0 }.sorted()
    guard sorted.count > 1 else { return paces.map { _ in 0 } }
    let median = sorted[(sorted.count - 1) / 2]
    return work.map { median > 0 ? ($0 ?? 0) / median : 0 }
  }

  private static func milliseconds(_ seconds: Double) -> String { "\((seconds * 10_000).rounded() / 10) ms" }
}
