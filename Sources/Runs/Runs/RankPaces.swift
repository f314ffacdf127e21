import Training

/// How every rank's steps go. Each tells the others with its notes to the next step.
struct RankPaces {
  private let rank: Int
  private let count: Int
  private let group: any RankGroup
  private var waited = 0.0
  private var work = 0.0
  private var wait = 0.0
  private var steps = 0.0
  private let clock = ContinuousClock()
  private var lastTold: ContinuousClock.Instant?

  init(_ group: any RankGroup) {
    self.group = group
    rank = group.rank
    count = group.count
  }

  /// Of this rank: work and wait in its place, nothing in the others'.
  var notes: [Double] {
    var notes = Array(repeating: 0.0, count: 2 * count)
    notes[2 * rank] = work
    notes[2 * rank + 1] = wait
    return notes
  }

  /// What was waited for before is no part of the step.
  mutating func stepBegins() { waited = group.waitedSeconds }

  /// Counts a step of so many seconds; about twice a second returns what all ranks noted.
  mutating func stepEnds(seconds: Double, notes: ArraySlice<Double>) -> [RankPace]? {
    let waitedNow = min(seconds, group.waitedSeconds - waited)
    // Moving averages over about ten steps, or over as many as there were.
    steps = min(steps + 1, 10)
    work += (seconds - waitedNow - work) / steps
    wait += (waitedNow - wait) / steps
    if let lastTold, clock.now - lastTold < .milliseconds(500) { return nil }
    let numbers = Array(notes)
    if numbers.allSatisfy({ $0 == 0 }) { return nil }  // the first step tells of none before it
    lastTold = clock.now
    return (0..<count).map { RankPace(rank: $0, workSeconds: numbers[2 * $0], waitSeconds: numbers[2 * $0 + 1]) }
  }
}
