import Foundation
import TestSupport
import Testing

/// Reproducible mode: the same bits, however many ranks there are.
@Suite struct ReproducibleTests {
  private let settings =
    set("training.reproducible=true", "training.laneGroups=4", "model.dropout=0.3", "generation.temperatures=[]")
    + endless

  private func run(_ folder: TemporaryFolder, ranks: Int, _ more: [String]) throws {
    let outcome = try Programs.lockstepd(
      ranks: ranks, ["run", try folder.writeSmallConfiguration()] + settings + more, in: folder.path)
    #expect(outcome.status == 0, "\(outcome.error)")
  }

  @Test func theBitsDoNotDependOnTheRanks() throws {
    let folder = try TemporaryFolder()
    // Begun on 4, killed, gone on with on 1, stopped, ended on 3.
    let moved = set("name=moved", "coordinator.checkpoint=[10 steps]", "output.reportSeconds=0")
    let job = try Job(ranks: 4, ["run", try folder.writeSmallConfiguration()] + settings + moved, in: folder)
    try job.wait("step 30") { try folder.savedStep(of: "moved") >= 30 }
    #expect(try job.kill(.allRanks, named: "moved"))
    try job.waitUntilEnded(named: "moved")
    let reached = try folder.savedStep(of: "moved")
    func end(_ steps: Int) -> [String] { set("training.maximumSteps=\(reached + steps)") }
    try run(folder, ranks: 1, moved + end(60))
    try run(folder, ranks: 3, moved + end(600))

    for ranks in 1...4 { try run(folder, ranks: ranks, set("name=r\(ranks)") + end(600)) }
    let one = try folder.numbers(of: "r1")
    for ranks in 2...4 { #expect(try folder.numbers(of: "r\(ranks)") == one, "\(ranks) ranks") }
    #expect(try folder.numbers(of: "moved") == one)
  }

  @Test func moreRanksThanGroupsAreRefused() throws {
    let folder = try TemporaryFolder()
    let outcome = try Programs.lockstepd(
      ranks: 3, ["run", try folder.writeSmallConfiguration()] + settings + set("training.laneGroups=2"),
      in: folder.path)
    #expect(outcome.status == 1 && outcome.error.contains("training.laneGroups is 2 for 3 ranks"), "\(outcome.error)")
  }
}
