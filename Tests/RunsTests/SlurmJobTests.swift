import Files
import Foundation
import TestSupport
import Testing

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
}
