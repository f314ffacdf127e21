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
      settings += set("corpus.text=\(text)", "training.maximumSteps=4000", "coordinator.checkpoint=[15 steps]")
    } else {
      settings += set(
        "training.epochs=30", "model.hiddenSizes=[48, 48]", "model.dropout=0.2",
        "coordinator.checkpoint=[1 epoch, 50 steps]")
    }
    let whole = try Programs.lockstepd(
      ranks: 2, ["run", configuration] + settings + set("name=whole"), in: folder.path, seconds: 900)
    #expect(whole.status == 0, "\(whole.error)")
    let started = ContinuousClock.now
    _ = try Programs.lockstepd(
      ranks: 2, ["run", configuration] + settings + set("name=timed"), in: folder.path, seconds: 900)
    let wholeSeconds = (ContinuousClock.now - started) / .seconds(1)

    var random = SeededRandom(seed: seed)
    let name = "killed-\(UUID().uuidString)"
    let command = ["run", configuration] + settings + set("name=\(name)")
    let store = CheckpointStore(folder.file("checkpoints/\(name)"))
    var (struck, during) = (0, 0)
    for _ in 0..<kills {
      let victim = Job.Victim.allCases.randomElement(using: &random) ?? .oneRank
      // From a rank's first moment on; mostly so late that it has come further than the one before.
      let delay = Double.random(in: 0...0.4 + 1.6 * wholeSeconds / Double(kills), using: &random)
      let job = try Job(ranks: 2, command, in: folder)
      try job.waitUntilStarted(named: name)
      usleep(UInt32(delay * 1_000_000))
      struck += try job.kill(victim, named: name) ? 1 : 0
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
    let last = try Programs.lockstepd(ranks: 2, command, in: folder.path, seconds: 900)
    #expect(last.status == 0, "\(last.error)")
    #expect(try folder.numbers(of: name) == folder.numbers(of: "whole"))
    #expect(struck > 0)
    print("\(struck) of \(kills) kills met a run under way, \(during) of them in the middle of a save")
  }
}
