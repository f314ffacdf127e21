import Testing

@testable import Runs

@Suite struct StragglersTests {
  private let begin = ContinuousClock.now

  /// What is said in so many seconds of ranks whose steps take so long.
  private func warnings(_ work: [Double], lanes: [Int], seconds: Int, ratio: Double = 1.5) -> [String] {
    var stragglers = Stragglers(ratio: ratio, lanes: lanes, hosts: work.indices.map { "node\($0 + 1)" })
    var paces = work.enumerated().map { RankPace(rank: $0, workSeconds: $1, waitSeconds: 0) }
    return (0...seconds).compactMap { stragglers.hear(&paces, at: begin + .seconds($0)) }
  }

  /// The ranks that are marked, at once, for whoever shows them.
  private func marked(_ work: [Double], lanes: [Int], ratio: Double = 1.5) -> [Int] {
    var stragglers = Stragglers(ratio: ratio, lanes: lanes, hosts: work.map { _ in "node" })
    var paces = work.enumerated().map { RankPace(rank: $0, workSeconds: $1, waitSeconds: 0) }
    #expect(stragglers.hear(&paces, at: begin) == nil)
    return paces.filter(\.isStraggler).map(\.rank)
  }

  @Test func oneRatioMarksThemWhereverTheyAreShown() {
    #expect(marked([0.1, 0.149, 0.1], lanes: [4, 4, 4]).isEmpty, "1.2 and 1.25 times are nothing")
    #expect(marked([0.1, 0.1, 0.151, 0.3], lanes: [4, 4, 4, 4]) == [2, 3])
    #expect(marked([0.1, 0.1, 0.151, 0.3], lanes: [4, 4, 4, 4], ratio: 2) == [3])
    #expect(marked([0.1, 0.9], lanes: [4, 4], ratio: 0).isEmpty)
    #expect(marked([0.2, 0.1, 0.0], lanes: [2, 1, 0]).isEmpty, "lane for lane")
    #expect(marked([0.9], lanes: [4]).isEmpty)
  }

  @Test func oneThatIsSlowForLongIsNamedNowAndThen() {
    #expect(warnings([0.1, 0.31, 0.1], lanes: [4, 4, 4], seconds: 9).isEmpty)
    let said = warnings([0.1, 0.31, 0.1], lanes: [4, 4, 4], seconds: 320)
    #expect(said.count == 2)
    #expect(
      said.first?.hasPrefix("rank 1 on node2 is slow: its work in a step takes 310.0 ms, 3.1 times that of the median")
        == true, "\(said)")
  }

  @Test func ofTwoRanksTheSlowerIsNamed() {
    #expect(warnings([0.5, 0.1], lanes: [4, 4], seconds: 10).count == 1)
  }

  @Test func ranksWithMoreLanesTakeLonger() {
    #expect(warnings([0.2, 0.1, 0.0], lanes: [2, 1, 0], seconds: 60).isEmpty)
  }

  @Test func littleDifferencesAndNoRatioSayNothing() {
    #expect(warnings([0.1, 0.14], lanes: [4, 4], seconds: 60).isEmpty)
    #expect(warnings([0.1, 0.9], lanes: [4, 4], seconds: 60, ratio: 0).isEmpty)
    #expect(warnings([0.0, 0.0], lanes: [4, 4], seconds: 60).isEmpty)
  }
}
