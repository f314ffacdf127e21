import Training

/// Finds the rank that the others keep waiting for, and says so now and then.
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

  /// A warning, if there is one to give.
  mutating func hear(_ paces: [RankPace], at now: ContinuousClock.Instant) -> String? {
    guard ratio > 0, paces.count > 1 else { return nil }
    // Per lane; ranks without one wait for all others.
    let work = paces.filter { lanes[$0.rank] > 0 }.map { ($0.rank, $0.workSeconds / Double(lanes[$0.rank])) }
    let median = work.map(\.1).sorted()[(work.count - 1) / 2]
    guard let slowest = work.max(by: { $0.1 < $1.1 }), median > 0, slowest.1 > ratio * median else {
      slow = nil
      return nil
    }
    let rank = slowest.0
    if slow?.rank != rank { slow = (rank, now) }
    guard let slow, now - slow.since >= Self.patience, told[rank].map({ now - $0 >= Self.interval }) ?? true
    else { return nil }
    told[rank] = now
    let pace = paces[rank]
    let times = (slowest.1 / median * 10).rounded() / 10
    return
      "rank \(rank) on \(hosts[rank]) is slow: its work in a step takes \(Self.milliseconds(pace.workSeconds)), \(times) times "
      + "that of the median rank, and the others wait for it; look what else that host does, or leave it out"
  }

  private static func milliseconds(_ seconds: Double) -> String { "\((seconds * 10_000).rounded() / 10) ms" }
}
