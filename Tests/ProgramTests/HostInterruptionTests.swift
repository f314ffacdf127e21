import Files
import Foundation
import TestSupport
import Testing

/// What a run on hosts does before it trains, and its launcher when a host is gone, end within ten seconds of being asked to.
@Suite(.serialized, .enabled(if: SimulatedCluster.isPermitted, SimulatedCluster.isForbidden))
struct HostInterruptionTests {
  private static let configuration = """
    name: small
    corpus: {prepared: tokens, distribute: true}
    model: {embeddingSize: 16, hiddenSizes: [24, 16]}
    training: {batchSize: 12, sequenceLength: 12, epochs: 100000, stallTimeout: 8}
    coordinator: {checkpoint: [50 steps], evaluate: [], generate: []}
    """

  /// Two hosts, of which the first alone has a corpus.
  private func cluster(lines: Int) throws -> SimulatedCluster {
    let folder = try TemporaryFolder()
    let sample = try Programs.lockstep(
      "corpus", "sample", "--lines", "\(lines)", "--output", "sample", in: folder.path)
    let prepared = try Programs.lockstep(
      "corpus", "prepare", "--tokenizer", "characters", "--output", "tokens", "sample/sample.txt", in: folder.path)
    try #require(sample.status == 0 && prepared.status == 0, "\(sample.error)\(prepared.error)")
    let cluster = try SimulatedCluster(nodes: 2)
    try cluster.copy(on: "node1", folder.file("tokens"))
    try cluster.write("small.yaml", Self.configuration, on: "head")
    return cluster
  }

  private static let launch = "OMP_NUM_THREADS=1 exec ./lockstep launch --hostfile hosts small.yaml"

  /// Waits until `isSo`, then sends a signal to the launcher. Returns how it ended, and how long that took.
  private func interrupt(
    _ cluster: SimulatedCluster, _ signal: String, when isSo: @escaping @Sendable () throws -> Bool
  ) throws -> (outcome: Outcome, seconds: Double) {
    let run = LaunchedRun(cluster, Self.launch)
    defer { run.end() }
    try run.wait("what is to be interrupted", until: isSo)
    let begin = ContinuousClock.now
    try cluster.shell("head", "pkill -\(signal) -x lockstep")
    let outcome = try run.outcome()
    return (outcome, (ContinuousClock.now - begin) / .seconds(1))
  }

  /// Whether there is a checkpoint of a later step than the first; old ones go.
  private static func hasTrained(_ cluster: SimulatedCluster) throws -> Bool {
    try cluster.run("node1", "ls", "checkpoints/small").lines.contains {
      $0.hasPrefix("step-") && $0 > "step-00000000.h5"
    }
  }

  @Test(arguments: ["INT", "TERM", "HUP", "USR1"]) func whileDistributing(signal: String) throws {
    let cluster = try cluster(lines: 400_000)
    try cluster.command(["link", "node2", "--rate", "4mbit"])
    // What is sent is being written down there.
    let (outcome, seconds) = try interrupt(cluster, signal) {
      try cluster.run("node2", "find", "checkpoints", "-size", "+64k").lines.isEmpty == false
    }
    #expect(outcome.status == 75 && outcome.output.contains("stopped (signal \(signal)) "), "\(outcome.error)")
    #expect(seconds < 10)
    // The rest is sent when the run is started again.
    try cluster.command(["link", "node2", "--rate", "none"])
    let (next, _) = try interrupt(cluster, "INT") { try Self.hasTrained(cluster) }
    #expect(next.status == 75 && next.output.contains("sent"), "\(next.output)\(next.error)")
  }

  @Test func whileWaitingForAHost() throws {
    let cluster = try cluster(lines: 2000)
    let run = LaunchedRun(cluster, "\(Self.launch) 2>waiting")
    defer { run.end() }
    try run.wait("a checkpoint") { try Self.hasTrained(cluster) }
    try cluster.command(["stop", "node2"])
    try run.wait("the launcher to wait for its host") {
      try cluster.shell("head", "cat waiting").contains("waiting: ")
    }
    let begin = ContinuousClock.now
    try cluster.shell("head", "pkill -TERM -x lockstep")
    #expect(try run.outcome().status == 75)
    #expect(ContinuousClock.now - begin < .seconds(10))
    #expect(try cluster.shell("head", "cat waiting").contains("stopped while it waited to be started again"))
    #expect(try cluster.run("node1", "pgrep", "-x", "lockstepd").status == 1, "ranks are left")
  }
}
