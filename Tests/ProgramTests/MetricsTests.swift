import ControlAPI
import Foundation
import TestSupport
import Testing

/// What Prometheus is given is what Prometheus takes: its own promtool looks at it.
@Suite struct MetricsTests {
  @Test func ofARun() throws {
    let folder = try TemporaryFolder()
    let command =
      try ["run", folder.writeSmallConfiguration()]
      + endless + set("model.hiddenSizes=[96, 96]", "coordinator.evaluate=[100 steps]")
      + ["--listen", "127.0.0.1:0"]
    let daemon = DaemonProcess(command, serving: "checkpoints/small", in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    // By then it has validated, so that nothing is left out.
    let status = try daemon.waitForStep(150, of: "small")
    let metrics = try check(Curl(daemon.origin(), token: daemon.token()), folder)
    let run = "{run=\"small\"}"
    #expect(try #require(metrics["lockstep_run_steps_total\(run)"]) >= Double(status.run?.step ?? .max))
    for name in ["loss_nats", "validation_perplexity", "tokens_per_second", "learning_rate", "gradient_norm"] {
      #expect(try #require(metrics["lockstep_run_\(name)\(run)"], "\(name)") > 0, "\(name)")
    }
    for rank in 0..<2 {
      let steps = metrics.filter {
        $0.key.hasPrefix("lockstep_rank_step_seconds{") && $0.key.contains("rank=\"\(rank)\"")
      }
      #expect(steps.count == 1 && steps.values.allSatisfy { $0 > 0 }, "rank \(rank): \(steps)")
    }
  }

  @Test func ofAQueueWithNothingInIt() throws {
    let folder = try TemporaryFolder()
    let daemon = DaemonProcess(["serve"], in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let metrics = try check(daemon.socket(), folder)
    #expect(metrics["lockstep_activity{activity=\"idle\",mode=\"serve\"}"] == 1)
    #expect(!metrics.keys.contains { $0.hasPrefix("lockstep_run_") })
  }

  /// Fetches the metrics, has them checked, and gives the samples by their names and labels.
  private func check(_ curl: Curl, _ folder: TemporaryFolder) throws -> [String: Double] {
    try Programs.need("promtool")
    let reply = try curl.get("/metrics")
    try #require(reply.status == 200 && reply.head.contains("text/plain; version=0.0.4"), "\(reply.head)")
    let path = try folder.write("metrics.txt", reply.body)
    let outcome = try Programs.run("sh", ["-c", "promtool check metrics <\"$0\"", path], in: folder.path, seconds: 60)
    #expect(outcome.status == 0 && outcome.output + outcome.error == "", "\(outcome.output)\(outcome.error)")
    let samples = try reply.body.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let end = try #require(line.lastIndex(of: " "), "\(line)")
      return (String(line[..<end]), try #require(Double(line[line.index(after: end)...]), "\(line)"))
    }
    return Dictionary(uniqueKeysWithValues: samples)
  }
}
