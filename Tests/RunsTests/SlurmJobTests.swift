import Files
import Foundation
import TestSupport
import Testing

@testable import Hosts
@testable import Runs

@Suite struct SlurmJobTests {
  @Test(arguments: [
    ("1-02:03:04", 93_784.0), ("02:03:04\n", 7384), ("59:01", 3541), ("30", 30), ("UNLIMITED", nil), ("NOT_SET", nil),
    ("", nil), ("1-2-3", nil), ("-5:00", nil),
  ])
  func timesLeft(text: String, seconds: Double?) { #expect(SlurmJob.seconds(text) == seconds) }

  @Test func theEnvironmentIsAskedFirst() throws {
    let end = Date().timeIntervalSince1970 + 500
    let left = try #require(
      SlurmJob.secondsLeft(environment: ["SLURM_JOB_END_TIME": "\(Int(end))", "SLURM_JOB_ID": "7"]))
    #expect(abs(left - 500) < 5)
    #expect(SlurmJob.secondsLeft(environment: [:]) == nil)
  }

  /// A task of an array has a number of its own, though one of them has the array's in SLURM_JOB_ID.
  @Test func aTaskOfAnArrayIsNotTheArray() {
    #expect(SlurmJob.number(["SLURM_JOB_ID": "7"]) == "7")
    #expect(SlurmJob.number(["SLURM_JOBID": "7"]) == "7")
    let task = ["SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"]
    #expect(SlurmJob.number(task) == "7_3")
    #expect(SlurmJob.number([:]) == nil)
  }
}
