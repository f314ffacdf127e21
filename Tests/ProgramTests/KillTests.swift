import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// A run killed with SIGKILL at random instants, some of them during a save, and gone on with each time ends with the
/// bits of one never killed, and no checkpoint that can be seen is ever damaged.
///
/// More kills, and other instants: `LOCKSTEP_KILLS=100 LOCKSTEP_SEED=7 launch/test --filter KillTests`. With
/// LOCKSTEP_KILL_TEXT naming the text of configs/tiny-shakespeare.yaml, that configuration is trained in place of a
/// small one.
@Suite struct KillTests {
  private let kills = Self.setting("LOCKSTEP_KILLS") ?? 6
  private let seed = Self.setting("LOCKSTEP_SEED") ?? 1
  /// Saves come often, and take a while, so that some are under way when a kill comes.
  private let settings = set("generation.temperatures=[]", "output.keep=3", "output.curveSteps=7")

  private static func setting(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }

  @Test func killedRunsEndWithTheSameBits() throws {
    let folder = try TemporaryFolder()
    var configuration = try folder.writeSmallConfiguration()
    var settings = settings
    if let text = ProcessInfo.processInfo.environment["LOCKSTEP_KILL_TEXT"] {
      configuration = "\(Programs.repository)/configs/tiny-shakespeare.yaml"
      settings += set("corpus.text=\(URL(fileURLWithPath: text).path)", "coordinator.checkpoint=[15 steps]")
    } else {
      settings += set(
        "model.hiddenSizes=[128, 128]", "model.dropout=0.2", "coordinator.checkpoint=[1 epoch, 20 steps]")
    }
    let command = ["run", configuration] + settings + endless

    var random = SeededRandom(seed: seed)
    let name = "killed-\(UUID().uuidString)"
    let store = CheckpointStore(folder.file("checkpoints/\(name)"))
    /// Checkpoints that are being written, or that a kill has left so. There may be no folder yet.
    func unfinished() throws -> Set<String> {
      guard FileSystem.exists(store.directory) else { return [] }
      return Set(try FileSystem.list(store.directory).filter { $0.contains(".partial-") })
    }
    var during = 0
    for kill in 0..<kills {
      let victim = Job.Victim.allCases.randomElement(using: &random) ?? .oneRank
      let (savedBefore, unfinishedBefore) = (try folder.savedStep(of: name), try unfinished())
      let job = try Job(ranks: 2, command + set("name=\(name)"), in: folder)
      try job.waitUntilStarted(named: name)
      // In turns: early, after the run has come further, and as a save begins.
      switch kill % 3 {
      case 0: usleep(.random(in: 0...600_000, using: &random))
      case 1:
        try job.wait("a checkpoint") { try folder.savedStep(of: name) > savedBefore }
        usleep(.random(in: 0...300_000, using: &random))
      default: try job.wait("a save") { try !unfinished().isSubset(of: unfinishedBefore) }
      }
      #expect(try job.kill(victim, named: name), "\(victim) was not there to be killed")
      try job.waitUntilEnded(named: name)
      during += try unfinished().isSubset(of: unfinishedBefore) ? 0 : 1
      for step in try store.steps() {
        #expect(throws: Never.self, "after \(victim) was killed") { try CheckpointFile(store.path(step: step)) }
      }
    }
    let end = set("training.maximumSteps=\(try folder.savedStep(of: name) + 60)")
    for name in [name, "whole"] {
      let outcome = try Programs.lockstepd(
        ranks: 2, command + set("name=\(name)") + end, in: folder.path, seconds: 900)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    #expect(try folder.numbers(of: name) == folder.numbers(of: "whole"))
    print("\(during) of \(kills) kills came in the middle of a save")
  }
}
