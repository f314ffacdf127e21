import Foundation
import TestSupport
import Testing

/// Ranks set aside evaluate and write what all ranks together would have, while the others train.
@Suite struct EvaluatorTests {
  private let settings = set(
    "training.reproducible=true", "training.laneGroups=2", "training.epochs=3", "coordinator.generate=[30 steps]",
    "coordinator.evaluate=[1 epoch, 50 steps]")

  private func run(_ folder: TemporaryFolder, ranks: Int, _ more: [String]) throws -> Outcome {
    try Programs.lockstepd(
      ranks: ranks, ["run", try folder.writeSmallConfiguration(), "--log-format", "json"] + settings + more,
      in: folder.path)
  }

  @Test func theyFindWhatAllWouldFind() throws {
    let folder = try TemporaryFolder()
    let together = try run(folder, ranks: 2, set("name=together"))
    #expect(together.status == 0, "\(together.error)")
    for evaluators in 1...2 {
      let name = "aside-\(evaluators)"
      let aside = try run(
        folder, ranks: 2 + evaluators, set("name=\(name)", "coordinator.evaluators=\(evaluators)"))
      #expect(aside.status == 0, "\(aside.error)")
      #expect(try folder.numbers(of: name) == folder.numbers(of: "together"), "\(evaluators) evaluators")
      func samples(_ outcome: Outcome) throws -> [String] {
        try outcome.events("sample").map { "\($0["step"] ?? "") \($0["text"] ?? "")" }
      }
      #expect(try samples(aside) == samples(together))
      #expect(try samples(aside).count > 10)
    }
  }

  @Test func aRunStoppedWithThemGoesOnWithThem() throws {
    let folder = try TemporaryFolder()
    let command =
      ["run", try folder.writeSmallConfiguration()] + settings + endless
      + set("coordinator.evaluators=1", "output.reportSeconds=0")
    let stopped = try Programs.lockstepd(
      ranks: 3, command + set("name=stopped"), in: folder.path, signal: SIGUSR1, whenOutputHas: "validation loss")
    #expect(stopped.status == 75, "\(stopped.error)")
    let end = set("training.maximumSteps=\(try folder.savedStep(of: "stopped") + 300)")
    for name in ["stopped", "whole"] {
      let outcome = try Programs.lockstepd(ranks: 3, command + set("name=\(name)") + end, in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    #expect(try folder.numbers(of: "stopped") == folder.numbers(of: "whole"))
  }

  @Test func aRunThatFailsEndsThemToo() throws {
    let folder = try TemporaryFolder()
    let outcome = try run(
      folder, ranks: 3,
      set("coordinator.evaluators=1", "optimizer.kind=sgd", "optimizer.learningRate=1e30", "training.clipNorm=0"))
    #expect(outcome.status == 1 && outcome.error.contains("not a finite number"), "\(outcome.error)")
    #expect(!outcome.error.contains("rank 2"), "\(outcome.error)")
    let few = try run(folder, ranks: 2, set("coordinator.evaluators=2"))
    #expect(few.status == 1 && few.error.contains("expected one more at least, to train"), "\(few.error)")
  }
}
