import Foundation
import TestSupport
import Testing

/// `lockstep launch` on several hosts, with all that may be wrong with them before it starts.
@Suite(.serialized, .enabled(if: SimulatedCluster.isPermitted, SimulatedCluster.isForbidden))
struct ClusterTests {
  private static let configuration = """
    name: small
    corpus: {prepared: tokens}
    model: {embeddingSize: 16, hiddenSizes: [24, 16]}
    training: {batchSize: 12, sequenceLength: 12, epochs: 2}
    optimizer: {kind: adam, learningRate: 0.01}
    generation: {length: 10, temperatures: [0.5]}
    """

  /// Three nodes with the run's configuration on head, and its corpus everywhere.
  private func makeCluster() throws -> SimulatedCluster {
    let cluster = try SimulatedCluster(nodes: 3)
    let folder = try TemporaryFolder()
    for (tokens, seed) in [("tokens", 1), ("others", 2)] {
      let sample = try Programs.lockstep(
        "corpus", "sample", "--lines", "2000", "--seed", "\(seed)", "--output", "sample-\(seed)", in: folder.path)
      let prepared = try Programs.lockstep(
        "corpus", "prepare", "--output", tokens, "sample-\(seed)/sample.txt", in: folder.path)
      try #require(sample.status == 0 && prepared.status == 0, "\(sample.error)\(prepared.error)")
    }
    try cluster.copy(folder.file("tokens"), folder.file("others"))
    try cluster.write("small.yaml", Self.configuration, on: "head")
    return cluster
  }

  /// The lines that it says of hosts.
  private func refusal(
    _ cluster: SimulatedCluster, _ arguments: [String] = [], hostfile: String = "hosts"
  ) throws -> [String] {
    let outcome = try cluster.launch(["--hostfile", hostfile, "small.yaml"] + arguments)
    #expect(outcome.status == 1, "\(outcome.output)\(outcome.error)")
    #expect(outcome.output.isEmpty, "nothing is trained: \(outcome.output)")
    let prefix = "lockstep launch: "
    return outcome.error.split(separator: "\n").filter { $0.hasPrefix(prefix) }.map {
      String($0.dropFirst(prefix.count))
    }
  }

  @Test func badLaunchesAreRefused() throws {
    let cluster = try makeCluster()

    // The launch is a good one otherwise.
    let good = try cluster.launch(["--hostfile", "hosts", "small.yaml", "--dry-run"])
    #expect(good.status == 0, "\(good.error)")
    #expect(good.error.contains("ranks: 3 (1 on node1, 1 on node2, 1 on node3), threads each: 1"), "\(good.error)")

    // Another program.
    try cluster.shell("node2", "cp lockstepd kept; printf x >>lockstepd")
    var lines = try refusal(cluster)
    #expect(lines.count == 1 && lines[0].contains("node2: expected the same program at /"), "\(lines)")
    #expect(lines.first?.contains("copy the program there from this host") == true, "\(lines)")
    // None.
    try cluster.shell("node2", "rm lockstepd")
    lines = try refusal(cluster)
    #expect(lines.count == 1 && lines[0].contains("node2: expected the program at /"), "\(lines)")
    #expect(lines.first?.contains("lockstepd, found none; copy it there") == true, "\(lines)")
    try cluster.shell("node2", "mv kept lockstepd")

    // A library that cannot be loaded, and another version of Open MPI; seen by this host alone.
    let library = try cluster.shell("node3", "ldd lockstepd | awk '$1 ~ /^libdnnl/ { print $3 }'")
      .trimmingCharacters(in: .newlines)
    try cluster.shell("node3", "touch empty; mount --bind empty \"$(realpath \(library))\"")
    try cluster.shell(
      "node1",
      "printf '#!/bin/sh\\necho mpirun \"(Open MPI)\" 4.9.9\\n' >other; chmod +x other; "
        + "mount --bind other \"$(realpath \"$(command -v mpirun)\")\"")
    lines = try refusal(cluster)
    #expect(lines.count == 2, "\(lines)")
    #expect(lines.contains { $0.contains("node3: expected the libraries of /") && $0.contains("libdnnl") }, "\(lines)")
    #expect(
      lines.contains {
        $0.hasPrefix("node1: expected Open MPI ") && $0.contains(", found 4.9.9; install that version")
      },
      "\(lines)")
    try cluster.shell("node3", "umount \"$(realpath \(library))\"")
    try cluster.shell("node1", "umount \"$(realpath \"$(command -v mpirun)\")\"")

    // Another corpus, and none.
    try cluster.shell("node1", "mv tokens kept; mv others tokens")
    try cluster.shell("node3", "mv tokens kept")
    lines = try refusal(cluster)
    #expect(lines.count == 2, "\(lines)")
    #expect(
      lines.contains { $0.contains("expected the corpus of node") && $0.contains(", found another one (") }, "\(lines)")
    #expect(
      lines.contains { $0.hasPrefix("node3: expected the corpus of node") && $0.contains(", found none (") }, "\(lines)"
    )
    try cluster.shell("node1", "mv tokens others; mv kept tokens")
    try cluster.shell("node3", "mv kept tokens")

    // Unequal cores, and mistakes in the hostfile.
    try cluster.write("unequal", "node1 slots=1\nnode2 slots=512\nnode3 slots=1\n", on: "head")
    lines = try refusal(cluster, hostfile: "unequal")
    #expect(
      lines.count == 1 && lines[0].hasPrefix("node2: expected a core for each of its 512 slots (unequal:2), found "),
      "\(lines)")
    try cluster.write("mistaken", "node1 slots=1\nnode2 slot=2\nnode9 slots=1\n", on: "head")
    let mistaken = try cluster.launch(["--hostfile", "mistaken", "small.yaml"])
    #expect(mistaken.status == 1 && mistaken.error.contains("mistaken:2: expected slots=…"), "\(mistaken.error)")
    try cluster.write("unknown", "node1 slots=1\nnode9 slots=1\n", on: "head")
    lines = try refusal(cluster, hostfile: "unknown")
    #expect(lines.count == 1 && lines[0].hasPrefix("node9: expected a host of that name, found none; "), "\(lines)")

    // A wrong host key, an unknown one, a host that is cut off: all are told at once.
    try cluster.shell(
      "head",
      "cp .ssh/known_hosts kept; key=$(awk '/^node1,/ { print $2, $3 }' kept); grep -v '^node[123],' kept >known;"
        + " grep '^node3,' kept >>known; echo \"node1,$(getent hosts node1 | cut -d' ' -f1) $key\" | "
        + "sed 's/^node1,[^ ]*/node2/' >>known; mv known .ssh/known_hosts")
    try cluster.command(["cut", "node3"])
    lines = try refusal(cluster)
    #expect(lines.count == 3, "\(lines)")
    for (host, problem) in [
      ("node1", "expected a host key that is known, found none; log in there once with 'ssh node1'"),
      ("node2", "expected the host key that is known of it, found another one; "),
      ("node3", "expected an answer within 10 seconds, found none ("),
    ] { #expect(lines.contains { $0.hasPrefix("\(host): \(problem)") }, "\(host): \(lines)") }
    try cluster.command(["join", "node3"])
    try cluster.shell("head", "mv kept .ssh/known_hosts")

    // After all of that it trains.
    let outcome = try cluster.launch(["--hostfile", "hosts", "small.yaml", "--set", "training.epochs=1"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("finished (epochs)"), "\(outcome.output)")
    #expect(try cluster.shell("node1", "ls checkpoints/small").contains("step-"))
    // Rank 0 goes where its checkpoints are, whatever the order of hosts: here to the host with copies.
    try cluster.write("reversed", "node3 slots=1\nnode2 slots=1\nnode1 slots=1\n", on: "head")
    let later = try cluster.launch(["--hostfile", "reversed", "small.yaml", "--dry-run"])
    #expect(later.error.contains("ranks: 3 (1 on node2, 1 on node3, 1 on node1)"), "\(later.error)")
  }
}
