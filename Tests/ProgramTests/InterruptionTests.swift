import Foundation
import TestSupport
import Testing

/// Runs that are asked to stop save, say so with their status, and end with the same bits when gone on with.
@Suite struct InterruptionTests {
  private let settings =
    set("model.hiddenSizes=[96, 96]", "output.reportSeconds=0", "generation.temperatures=[]") + endless

  @Test func usr1StopsAllRanks() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let command = ["run", configuration] + settings
    for _ in 0..<3 {
      let outcome = try Programs.lockstepd(
        ranks: 2, command + set("name=stopped"), in: folder.path, signal: SIGUSR1, whenOutputHas: "  step ")
      #expect(outcome.status == 75, "\(outcome.error)")
      #expect(outcome.output.contains("stopped (signal USR1) after step"), "\(outcome.output)")
    }
    let end = set("training.maximumSteps=\(try folder.savedStep(of: "stopped") + 60)")
    for name in ["stopped", "whole"] {
      let outcome = try Programs.lockstepd(ranks: 2, command + set("name=\(name)") + end, in: folder.path)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    #expect(try folder.numbers(of: "stopped") == folder.numbers(of: "whole"))
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGUSR1])
  func oneProcessStopsToo(signal: Int32) throws {
    let folder = try TemporaryFolder()
    let outcome = try Programs.run(
      "\(Programs.folder)/lockstep",
      ["train", try folder.writeSmallConfiguration()] + settings,
      in: folder.path, environment: ["OMP_NUM_THREADS": "1"], signal: signal, whenOutputHas: "  step ")
    #expect(outcome.status == 75, "\(outcome.error)")
    #expect(outcome.output.contains("stopped (signal"))
  }

  @Test func theTimeLimitStops() throws {
    let folder = try TemporaryFolder()
    let outcome = try Programs.lockstepd(
      ranks: 2, ["run", try folder.writeSmallConfiguration()] + endless + set("training.timeLimit=2"),
      in: folder.path, seconds: 60)
    #expect(outcome.status == 75 && outcome.output.contains("stopped (time limit)"), "\(outcome.error)")
  }

  /// Inside a Slurm job that says nothing of its end in the environment, squeue is asked.
  @Test func slurmSaysWhenTheJobEnds() throws {
    let folder = try TemporaryFolder()
    let script = try folder.write(
      "bin/squeue", "#!/bin/sh\n[ \"$*\" = '--noheader --jobs 7 --format %L' ] && echo 0:03\n")
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let outcome = try Programs.run(
      "\(Programs.folder)/lockstep",
      ["train", try folder.writeSmallConfiguration()] + settings, in: folder.path,
      seconds: 60, environment: ["SLURM_JOB_ID": "7", "PATH": "\(folder.file("bin")):\(path)", "OMP_NUM_THREADS": "1"])
    #expect(outcome.status == 75 && outcome.output.contains("stopped (time limit)"), "\(outcome.error)")
  }
}
