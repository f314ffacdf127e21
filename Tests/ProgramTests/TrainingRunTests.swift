import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// Whole runs of the real programs, under a real mpirun.
@Suite struct TrainingRunTests {
  /// The gradient is that of the whole batch, however its lanes are dealt: 10 lanes on 3 and 4 ranks are uneven.
  @Test func everyRankCountFollowsTheSameLosses() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let settings = set("training.maximumSteps=100") + ["--log-format", "json"]
    let alone = try Programs.run(
      "\(Programs.folder)/lockstep", ["train", configuration] + settings + set("name=alone"), in: folder.path,
      environment: ["OMP_NUM_THREADS": "1"])
    #expect(alone.status == 0, "\(alone.error)")
    let expected = try alone.losses()
    #expect(expected.count == 100)
    for ranks in 1...4 {
      let outcome = try Programs.lockstepd(
        ranks: ranks, ["run", configuration] + settings + set("name=ranks-\(ranks)"), in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
      let found = try outcome.losses()
      #expect(found.count == 100)
      for (found, expected) in zip(found, expected) {
        #expect(abs(found - expected) <= 1e-4 * expected, "on \(ranks) ranks")
      }
      if ranks == 1 { #expect(found == expected) }
    }
  }

  /// Masks belong to lanes, so this holds with dropout too; and validation is the same text, cut alike.
  @Test func dropoutAndEvaluationDoNotDependOnRanks() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    var validations: [Double] = []
    var losses: [[Double]] = []
    for ranks in [1, 3] {
      let outcome = try Programs.lockstepd(
        ranks: ranks,
        ["run", configuration, "--log-format", "json"] + set("name=r\(ranks)", "model.dropout=0.3"),
        in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
      losses.append(try outcome.losses())
      validations.append(try #require(outcome.events("epoch").first?["validationLoss"] as? Double))
    }
    for (one, three) in zip(losses[0].prefix(50), losses[1].prefix(50)) { #expect(abs(one - three) <= 1e-4 * one) }
    #expect(abs(validations[0] - validations[1]) < 0.02 * validations[0])
  }

  @Test func aResumedRunEndsWithTheSameBits() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let settings = ["run", configuration] + set("model.dropout=0.2", "optimizer.kind=adam")
    func run(_ more: [String]) throws -> Outcome {
      let outcome = try Programs.lockstepd(ranks: 2, settings + more, in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
      return outcome
    }
    _ = try run(set("name=whole", "training.epochs=2"))
    // In the middle of an epoch, at its end, and in the middle of the next.
    for end in [57, 150, 260] { _ = try run(set("name=parts", "training.epochs=2", "training.maximumSteps=\(end)")) }
    let last = try run(set("name=parts", "training.epochs=2"))
    #expect(last.output.contains("resumes at step 260 (1 epoch complete) from checkpoints/parts/step-00000260.h5"))
    let whole = try #require(CheckpointStore(folder.file("checkpoints/whole")).newest { _, _ in })
    let parts = try #require(CheckpointStore(folder.file("checkpoints/parts")).newest { _, _ in })
    var progress = parts.card.progress
    progress.origin = whole.card.progress.origin  // of two runs it is never the same
    #expect(progress == whole.card.progress)
    #expect(try folder.numbers(of: "whole") == folder.numbers(of: "parts"))
    // The curve has every step once, and says the same.
    let (wholeCurves, partCurves) = (try whole.readCurves(), try parts.readCurves())
    #expect(wholeCurves.validation == partCurves.validation)
    #expect(wholeCurves.training.map(\.step) == Array(1...whole.card.progress.step))
    #expect(wholeCurves.training.map(\.step) == partCurves.training.map(\.step))
    #expect(wholeCurves.training.map { $0["loss"] } == partCurves.training.map { $0["loss"] })
    #expect(try Curves(path: folder.file("checkpoints/parts/curves.h5")) == partCurves)
  }

  @Test func finishedRunsSaySoAndMoreEpochsGoOn() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let first = try Programs.lockstepd(ranks: 2, ["run", configuration], in: folder.path)
    #expect(first.status == 0 && first.output.contains("finished (epochs) after 1 epoch, "), "\(first.error)")
    #expect(first.output.contains("(the source's own: "))
    #expect(first.output.contains("sample at temperature 0.5"))

    let second = try Programs.lockstepd(ranks: 2, ["run", configuration], in: folder.path)
    #expect(second.status == 0 && second.output.contains("this run is finished (epochs)"))
    // On another number of ranks.
    let third = try Programs.lockstepd(ranks: 3, ["run", configuration] + set("training.epochs=2"), in: folder.path)
    #expect(third.status == 0 && third.output.contains("finished (epochs) after 2 epochs"), "\(third.error)")

    let refused = try Programs.lockstepd(ranks: 2, ["run", configuration, "--resume", "never"], in: folder.path)
    #expect(refused.status == 1 && refused.error.contains("--resume never"))
    let other = try Programs.lockstepd(
      ranks: 2, ["run", configuration] + set("model.hiddenSizes=[8]"), in: folder.path)
    #expect(other.status == 1 && other.error.contains("model.hiddenSizes [24, 16], and this one has [8]"))
    let text = try Programs.lockstepd(ranks: 2, ["run", configuration] + set("corpus.sampleSeed=2"), in: folder.path)
    #expect(text.status == 1 && text.error.contains("fingerprint"))
  }

  @Test func damagedCheckpointsArePassedOver() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let settings = ["run", configuration] + set("training.epochs=2")
    #expect(try Programs.lockstepd(ranks: 2, settings, in: folder.path).status == 0)
    let store = CheckpointStore(folder.file("checkpoints/small"))
    let steps = try store.steps()
    #expect(steps.count == 2)
    try folder.write("checkpoints/small/\(FileSystem.name(of: store.path(step: steps[1])))", "not whole")
    let outcome = try Programs.lockstepd(ranks: 2, settings, in: folder.path)
    #expect(outcome.status == 0 && outcome.output.contains("warning: passed over a checkpoint"), "\(outcome.error)")
    #expect(
      outcome.output.contains("resumes at step \(steps[0]) "))

    for step in try store.steps() {
      try folder.write("checkpoints/small/\(FileSystem.name(of: store.path(step: step)))", "not whole")
    }
    let refused = try Programs.lockstepd(ranks: 2, settings, in: folder.path)
    #expect(refused.status == 1 && refused.error.contains("none of its 2 checkpoints can be read"))
  }

  /// The first line says whether a run begins or resumes, and one can insist on either.
  @Test func aRunSaysWhetherItBeginsOrResumes() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    func train(_ arguments: [String]) throws -> Outcome {
      try Programs.run(
        "\(Programs.folder)/lockstep", ["train", configuration] + arguments, in: folder.path,
        environment: ["OMP_NUM_THREADS": "1"])
    }
    let mistyped = try train(["--resume", "always"] + set("name=smal"))
    #expect(mistyped.status == 1 && mistyped.output.isEmpty, "\(mistyped.output)")
    #expect(mistyped.error.contains("checkpoints/smal has no checkpoint"), "\(mistyped.error)")
    #expect(mistyped.error.contains(folder.path) && mistyped.error.contains("output.directory"), "\(mistyped.error)")

    let first = try train(["--resume", "never"])
    #expect(first.status == 0 && first.lines.first == "run small begins in checkpoints/small", "\(first.error)")
    let step = try folder.savedStep(of: "small")
    let second = try train(["--resume", "always"] + set("training.epochs=2"))
    #expect(second.status == 0, "\(second.error)")
    #expect(
      second.lines.first
        == "run small resumes at step \(step) (1 epoch complete) from checkpoints/small/step-00000\(step).h5")
    let refused = try train(["--resume", "never"])
    #expect(refused.status == 1 && refused.error.contains("is not empty"), "\(refused.error)")
    let json = try train(["--log-format", "json"])
    #expect(json.status == 0 && json.lines.first?.contains(#""event":"resumed""#) == true, "\(json.output)")
  }

  /// What has a checkpoint's name and is none of this run's neither ends it, nor counts, nor is written over.
  @Test func oddNamesAreNotTrusted() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    func train(_ settings: String...) throws -> Outcome {
      try Programs.run(
        "\(Programs.folder)/lockstep",
        ["train", configuration] + settings.flatMap { ["--set", $0] } + set("coordinator.checkpoint=[50 steps]"),
        in: folder.path, environment: ["OMP_NUM_THREADS": "1"])
    }
    #expect(try train("training.maximumSteps=100").status == 0)
    let store = CheckpointStore(folder.file("checkpoints/small"))
    let copy = try Data(contentsOf: URL(fileURLWithPath: store.path(step: 100)))
    try copy.write(to: URL(fileURLWithPath: store.path(step: 150)))
    try copy.write(to: URL(fileURLWithPath: store.path(step: 9999)))
    try FileSystem.createDirectory(store.path(step: 10_000))
    #expect(mkfifo(store.path(step: 10_001), 0o600) == 0)
    try folder.write("checkpoints/small/step--5.h5", "x")

    let outcome = try train("training.maximumSteps=200", "output.keep=1")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.lines.first?.hasPrefix("run small resumes at step 100 ") == true, "\(outcome.output)")
    #expect(outcome.lines.count { $0.hasPrefix("warning: passed over") } == 4, "\(outcome.output)")
    #expect(outcome.output.contains("is now checkpoints/small/step-00000150.h5.set-aside-1"), "\(outcome.output)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: store.path(step: 150) + ".set-aside-1")) == copy)
    #expect(try Data(contentsOf: URL(fileURLWithPath: store.path(step: 9999))) == copy)
    #expect(
      FileSystem.exists(store.path(step: 10_000)) && FileSystem.exists(folder.file("checkpoints/small/step--5.h5")))
    let steps = try store.steps()
    #expect(steps.contains(200) && !steps.contains(100), "\(steps)")
  }

  /// What is said of an epoch is of all of it, also where the run was stopped within it.
  @Test func anEpochIsToldWholeWhereItWasResumed() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    func train(_ settings: String...) throws -> Outcome {
      let outcome = try Programs.run(
        "\(Programs.folder)/lockstep",
        ["train", configuration, "--log-format", "json"] + settings.flatMap { ["--set", $0] }, in: folder.path,
        environment: ["OMP_NUM_THREADS": "1"])
      #expect(outcome.status == 0, "\(outcome.error)")
      return outcome
    }
    let whole = try train("name=whole").events("epoch")
    for end in [40, 111] { _ = try train("training.maximumSteps=\(end)") }
    let parts = try train("training.epochs=1").events("epoch")
    try #require(whole.count == 1 && parts.count == 1)
    #expect(parts[0]["trainingLoss"] as? Double == whole[0]["trainingLoss"] as? Double)
    #expect(parts[0]["missingSteps"] as? Int == 0)
  }

  @Test func othersReadTheFiles() throws {
    let folder = try TemporaryFolder()
    #expect(try Programs.lockstepd(ranks: 2, ["run", folder.writeSmallConfiguration()], in: folder.path).status == 0)
    let curves = try Programs.run(
      "h5dump", ["-d", "/validation/perplexity", "checkpoints/small/curves.h5"], in: folder.path)
    #expect(curves.status == 0 && curves.output.contains("H5T_IEEE_F64LE"), "\(curves.error)")
    let path = try #require(CheckpointStore(folder.file("checkpoints/small")).newest { _, _ in }).path
    let checkpoint = try Programs.run("h5dump", ["-n", path], in: folder.path)
    for name in [
      "/parameters/lstm.1.weightHidden", "/optimizer/firstMoment/embedding", "/lanes/state", "/configuration",
    ] {
      #expect(checkpoint.output.contains(name), "\(checkpoint.output)")
    }
  }
}
