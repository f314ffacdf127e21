import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// A run killed with SIGKILL at random instants and gone on with each time ends with the bits of one never killed, and
/// no checkpoint that can be seen is ever damaged.
///
/// More kills, and other instants: `LOCKSTEP_KILLS=100 LOCKSTEP_SEED=7 launch/test --filter KillTests`. With
/// LOCKSTEP_KILL_TEXT naming the text of configs/tiny-shakespeare.yaml, that configuration is trained, shortened, in place
/// of a small one.
@Suite struct KillTests {
  private let kills = Self.setting("LOCKSTEP_KILLS") ?? 6
  private let seed = Self.setting("LOCKSTEP_SEED") ?? 1
  /// Saves come often, so that some are under way when a kill comes.
  private let settings = set("generation.temperatures=[]", "output.keep=3", "output.curveSteps=7")

  private static func setting(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }

  @Test func killedRunsEndWithTheSameBits() throws {
    let folder = try TemporaryFolder()
    var configuration = try folder.writeSmallConfiguration()
    var settings = settings
    if let text = ProcessInfo.processInfo.environment["LOCKSTEP_KILL_TEXT"] {
      configuration = "\(Programs.repository)/configs/tiny-shakespeare.yaml"
      settings += set("corpus.text=\(text)", "coordinator.checkpoint=[15 steps]")
    } else {
      settings += set(
        "model.hiddenSizes=[48, 48]", "model.dropout=0.2", "coordinator.checkpoint=[1 epoch, 50 steps]")
    }
    let command = ["run", configuration] + settings + endless

    var random = SeededRandom(seed: seed)
    let name = "killed-\(UUID().uuidString)"
    let store = CheckpointStore(folder.file("checkpoints/\(name)"))
    var during = 0
    for kill in 0..<kills {
      let victim = Job.Victim.allCases.randomElement(using: &random) ?? .oneRank
      let before = try folder.savedStep(of: name)
      let job = try Job(ranks: 2, command + set("name=\(name)"), in: folder)
      try job.waitUntilStarted(named: name)
      // Every other kill may come from a rank's first moment on; the others let the run come further.
      if kill % 2 == 1 { try job.wait("a checkpoint") { try folder.savedStep(of: name) > before } }
      usleep(.random(in: 0...600_000, using: &random))
      #expect(try job.kill(victim, named: name), "\(victim) was not there to be killed")
      // The first kill may come before there is a folder.
      let isSaving =
        try FileSystem.exists(store.directory)
        && FileSystem.list(store.directory).contains { $0.contains(".partial-") }
      during += isSaving ? 1 : 0
      try job.waitUntilEnded(named: name)
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
