import Foundation
import TestSupport
import Testing

/// A run under `lockstep launch` on two hosts goes on whoever connects to the ports that listen, mpirun's and its daemons'
/// included, and then says nothing.
@Suite(.serialized, .enabled(if: SimulatedCluster.isPermitted, SimulatedCluster.isForbidden))
struct IdleConnectionTests {
  /// More than a process may have open, unless it asks for more.
  private static let connections = 1100
  private static let softLimit = 1024

  @Test func aRunSavesAnswersAndTrainsOn() throws {
    let cluster = try SimulatedCluster(nodes: 2)
    let folder = try TemporaryFolder()
    let sample = try Programs.lockstep("corpus", "sample", "--lines", "2000", "--output", "sample", in: folder.path)
    let prepared = try Programs.lockstep(
      "corpus", "prepare", "--output", "tokens", "sample/sample.txt", in: folder.path)
    try #require(sample.status == 0 && prepared.status == 0, "\(sample.error)\(prepared.error)")
    try cluster.copy(folder.file("tokens"), "\(Programs.repository)/Tests/ProgramTests/idle_connections.py")
    try cluster.write(
      "small.yaml",
      """
      name: small
      corpus: {prepared: tokens}
      model: {embeddingSize: 16, hiddenSizes: [24, 16]}
      training: {batchSize: 12, sequenceLength: 12, epochs: 100000}
      optimizer: {kind: adam, learningRate: 0.01}
      coordinator: {checkpoint: [50 steps], evaluate: [], generate: []}
      """, on: "head")
    // As on most systems, whatever this one allows.
    for node in ["node1", "node2"] {
      try cluster.shell(node, "prlimit --pid \"$(pgrep -ox sshd)\" --nofile=\(Self.softLimit):")
    }
    let run = LaunchedRun(
      cluster,
      "ulimit -Sn \(Self.softLimit); OMP_NUM_THREADS=1 exec ./lockstep launch --hostfile hosts "
        + "--max-restarts 0 small.yaml")
    defer { run.end() }
    try run.wait("a checkpoint") { try Self.savedStep(cluster) > 0 }

    for host in ["head", "node1", "node2"] {
      let own = try Self.listeningPorts(cluster, host, of: "\"lockstep")
      let all = try Self.listeningPorts(cluster, host, of: "\"lockstep\\|\"mpirun\\|\"orted")
      #expect(!own.isEmpty && all.count > 3, "expected at least 4 ports on \(host), found \(all)")
      // Not PMIx's, which mpirun and its daemons have on loopback: it serves one connection after the other, four seconds each.
      try Self.connect(cluster, from: host, to: "127.0.0.1", own)
      for from in ["node1", "node2"] { try Self.connect(cluster, from: from, to: host, all) }
    }
    let before = try Self.savedStep(cluster)
    try run.wait("two more checkpoints") { try Self.savedStep(cluster) >= before + 100 }
    let status = try cluster.run("node1", "./lockstep", "ask", "status", "--directory", "checkpoints/small")
    #expect(status.status == 0 && status.output.contains("step "), "\(status.error)")

    try cluster.shell("head", "pkill -INT -x lockstep")
    let outcome = try run.outcome()
    #expect(outcome.status == 75 && outcome.output.contains("stopped (signal INT)"), "\(outcome.error)")
    #expect(!outcome.error.contains("starting again"), "\(outcome.error)")
  }

  private static func savedStep(_ cluster: SimulatedCluster) throws -> Int {
    let names = try cluster.run("node1", "ls", "checkpoints/small").lines
    return names.compactMap { $0.wholeMatch(of: /step-(\d+)\.h5/).flatMap { Int($0.1) } }.max() ?? 0
  }

  /// Of processes whose names match.
  private static func listeningPorts(
    _ cluster: SimulatedCluster, _ host: String, of names: String
  ) throws -> [String] {
    let lines = try cluster.shell(host, "ss -Hltnp | grep '\(names)' | awk '{ print $4 }'").split(separator: "\n")
    return Set(lines.compactMap { $0.split(separator: ":").last.map(String.init) }).sorted()
  }

  /// Opens the connections and leaves them open. What is not listened at, at that address, refuses them.
  private static func connect(
    _ cluster: SimulatedCluster, from: String, to address: String, _ ports: [String]
  ) throws {
    let addresses = ports.map { "\(address):\($0)" }.joined(separator: " ")
    try cluster.shell(
      from,
      """
      python3 idle_connections.py \(connections) \(addresses) >idle-$$ 2>&1 &
      for ((tenth = 0; tenth < 300; tenth++)); do
        if grep -q ^open: idle-$$; then exit; fi
        sleep 0.1
      done
      cat idle-$$ >&2
      exit 1
      """)
  }
}
