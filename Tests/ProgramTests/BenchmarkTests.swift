import Foundation
import TestSupport
import Testing

/// `lockstepd benchmark`.
@Suite struct BenchmarkTests {
  @Test func itMeasuresShapesAndConfigurations() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let outcome = try Programs.lockstepd(
      ranks: 2,
      [
        "benchmark", configuration, "--set", "schedule.kind=cosine", "--set", "schedule.warmupSteps=2", "--shape",
        "2x16,500,3,4", "--steps", "6", "--vocabulary", "40", "--format", "json",
      ],
      in: folder.path)
    try #require(outcome.status == 0, "\(outcome.error)")
    let results = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]])
    try #require(results.count == 2)
    let shape = results[1]
    #expect(shape["name"] as? String == "2x16,500,3,4" && shape["ranks"] as? Int == 2 && shape["steps"] as? Int == 6)
    #expect(shape["vocabulary"] as? Int == 500 && results[0]["vocabulary"] as? Int == 40)
    // 6 (L 8 H^2 + H V) B T operations of each rank.
    let operations = 6.0 * Double(2 * 8 * 16 * 16 + 16 * 500) * 3 * 4 * 2
    let (seconds, gflops) = (try number("stepSeconds", shape), try number("gflops", shape))
    #expect(abs(gflops * 1e9 * seconds / operations - 1) < 1e-6)
    #expect(abs(try number("shareOfPeak", shape) - gflops / number("peakGflops", shape)) < 1e-9)
    // 12 tokens a rank touch 24 of the 500 rows at most; everything else is exchanged.
    let exchange = try #require(shape["exchange"] as? [String: Any])
    let dense = 2 * (2 * 16 * 64 + 64) + 500 * 16 + 512
    let bytes = try #require(exchange["bytesPerStep"] as? Int)
    #expect((4 * dense...4 * (dense + 24 * 16)).contains(bytes), "\(bytes)")
    let parts = try #require(shape["breakdown"] as? [String: Double])
    #expect(parts.count == 7 && parts.values.allSatisfy { $0 >= 0 })
    // Most of a step is in some part.
    #expect(parts.values.reduce(0, +) > 0.5 * seconds)

    let text = try Programs.lockstepd(
      ranks: 1, ["benchmark", "--shape", "1x8,20,2,3", "--steps", "3"], in: folder.path)
    #expect(
      text.status == 0 && text.output.contains("recurrent, backward") && text.output.contains("1 rank of 1 thread"))
  }

  @Test(arguments: [
    ([], "nothing to measure"), (["--shape", "2x16,500,3"], "2x16,500,3"), (["--shape", "0x16,500,3,4"], "0x16"),
    (["--shape", "1x8,20,2,3", "--steps=-1"], "expected 0 to 1000000"),
    (["--shape", "1x1,2,1000000,1000000"], "memory"),
    (["--shape", "1x8,20,2,3", "--set", "training.batchSize=1"], "training.batchSize is 1 for 2 ranks"),
    (["nowhere.yaml"], "nowhere.yaml"),
  ])
  func whatCannotBeMeasuredIsRefused(arguments: [String], message: String) throws {
    let outcome = try Programs.lockstepd(ranks: 2, ["benchmark"] + arguments, in: "/tmp")
    #expect(outcome.status != 0 && outcome.output.isEmpty)
    #expect(outcome.error.contains(message), "\(outcome.error)")
  }

  private func number(_ key: String, _ object: [String: Any]) throws -> Double { try #require(object[key] as? Double) }
}
