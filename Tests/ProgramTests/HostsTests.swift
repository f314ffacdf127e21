import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// Three hosts that share no folder, a rank on each.
@Suite(.serialized, .enabled(if: SimulatedCluster.isPermitted, SimulatedCluster.isForbidden))
struct HostsTests {
  private static let settings =
    set(
      "training.reproducible=true", "training.laneGroups=6", "training.batchSize=12", "corpus.sampleLines=0",
      "corpus.text=text.txt", "corpus.distribute=true", "coordinator.checkpoint=[40 steps]",
      "coordinator.evaluate=[60 steps]", "model.dropout=0.2") + ["--log-format", "json"]

  private func run(
    _ cluster: SimulatedCluster, on hosts: [String], _ more: [String], signal: Int32? = nil,
    whenOutputHas text: String = ""
  ) throws -> Outcome {
    try cluster.mpirun(
      ["--host", hosts.joined(separator: ","), "--bind-to", "none", "./lockstepd", "run", "small.yaml"]
        + Self.settings + more, signal: signal, whenOutputHas: text)
  }

  /// All numbers of a run's newest checkpoint on a host.
  private func numbers(_ cluster: SimulatedCluster, _ run: String, on host: String, step: Int) throws -> [[Double]] {
    let folder = try TemporaryFolder()
    let name = CheckpointStore("checkpoints/\(run)").path(step: step)
    let bytes = try Data(base64Encoded: cluster.shell(host, "base64 -w0 \(name)"))
    try folder.write(name, #require(bytes))
    return try folder.numbers(of: run)
  }

  @Test func nothingIsSharedAndNothingIsLost() throws {
    // What three local ranks make of it.
    let here = try TemporaryFolder()
    let configuration = try here.writeSmallConfiguration()
    let sample = try Programs.lockstep("corpus", "sample", "--lines", "9000", "--output", "sample", in: here.path)
    #expect(sample.status == 0, "\(sample.error)")
    let text = try MappedFile.withBytes(of: here.file("sample/sample.txt")) { Array($0) }
    try here.write("text.txt", text)
    func local(_ steps: Int) throws -> [[Double]] {
      let outcome = try Programs.lockstepd(
        ranks: 3, ["run", configuration] + Self.settings + set("training.maximumSteps=\(steps)"), in: here.path)
      #expect(outcome.status == 0, "\(outcome.error)")
      return try here.numbers(of: "small")
    }

    let cluster = try SimulatedCluster(nodes: 3)
    try cluster.copy(here.file(configuration))
    let hosts = ["node1", "node2", "node3"]

    // Without corpus.distribute the error says what helps.
    try cluster.copy(on: "node1", here.file("text.txt"))
    let refused = try run(cluster, on: hosts, set("corpus.distribute=false"))
    #expect(refused.status == 1 && refused.error.contains("set corpus.distribute to true"), "\(refused.error)")

    // It trains, evaluates, generates and checkpoints; the bits are those of three local ranks.
    func steps(_ count: Int) -> [String] { set("training.maximumSteps=\(count)") }
    let first = try run(cluster, on: hosts, steps(130))
    #expect(first.status == 0, "\(first.error)")
    let reference = try local(130)
    #expect(try numbers(cluster, "small", on: "node1", step: 130) == reference)
    #expect(try numbers(cluster, "small", on: "node2", step: 130) == reference)
    #expect(try first.events("sample").count > 0 && first.events("validation").count == 2)
    let sent = try #require(first.events("distributed").first)
    #expect((sent["hosts"] as? [[String: Any]])?.compactMap { $0["bytes"] as? Int }.allSatisfy { $0 > 0 } == true)
    let copied = try first.events("copied")
    #expect(copied.last?["step"] as? Int == 130 && copied.last?["host"] as? String == "node2")
    #expect(try cluster.shell("node3", "ls checkpoints") == "", "node3 keeps no copies, and has no use for a folder")
    #expect(try cluster.shell("node3", "ls checkpoints/.corpora/*/partial.json").contains("partial.json"))
    #expect(
      try cluster.shell("node1", "cd checkpoints/small; ls") == cluster.shell("node2", "cd checkpoints/small; ls"))

    // node1's folder is lost: it goes on from the copy, and nothing is sent that is there.
    try cluster.shell("node1", "rm -rf checkpoints/small")
    let never = try run(cluster, on: hosts, steps(200) + ["--resume", "never"])
    #expect(never.status == 1 && never.error.contains("checkpoints/small on node2 is not empty"), "\(never.error)")
    let second = try run(cluster, on: hosts, steps(200))
    #expect(second.status == 0, "\(second.error)")
    #expect(try second.events("fetched").first?["host"] as? String == "node2")
    #expect(try second.events("distributed").first?["bytes"] as? Int == 0)
    #expect(try second.events("warning").contains { "\($0)".contains("node2 holds step 130 of this run") })
    let longer = try local(200)
    #expect(try numbers(cluster, "small", on: "node1", step: 200) == longer)

    // node1 is gone with all it had, its text too; node2, which kept all, is the first, and a token file has been damaged.
    try cluster.command(["stop", "node1"])
    try cluster.shell(
      "node3",
      "f=$(ls checkpoints/.corpora/sent-*/train-00000.tokens)\n"
        + "printf '\\377' | dd of=$f bs=1 seek=$(($(stat -c %s $f) - 9)) conv=notrunc")
    let third = try run(cluster, on: ["node2", "node3"], steps(260))
    #expect(third.status == 0, "\(third.error)")
    #expect(try third.events("warning").contains { "\($0)".contains("train-00000.tokens was damaged in 1 of") })
    #expect(try numbers(cluster, "small", on: "node2", step: 260) == local(260))
    #expect(try third.events("copied").last?["host"] as? String == "node3")

    // It comes back with an older state and is the first again.
    try cluster.command(["start", "node1"])
    let fourth = try run(cluster, on: hosts, steps(300))
    #expect(fourth.status == 0, "\(fourth.error)")
    #expect(try fourth.events("fetched").first?["step"] as? Int == 260)
    #expect(try numbers(cluster, "small", on: "node1", step: 300) == local(300))

    try aStopWaitsForTheCopy(cluster, hosts)
    try fullDisks(cluster, hosts)
  }

  /// A run stopped by a signal ends with status 75, and its last checkpoint is on both hosts.
  private func aStopWaitsForTheCopy(_ cluster: SimulatedCluster, _ hosts: [String]) throws {
    let outcome = try run(
      cluster, on: hosts, endless + set("name=stopped", "coordinator.evaluators=1"), signal: SIGUSR1,
      whenOutputHas: "\"event\":\"copied\"")
    #expect(outcome.status == 75, "\(outcome.error)")
    let step = try #require(outcome.events("interrupted").first?["step"] as? Int)
    #expect(try outcome.events("copied").last?["step"] as? Int == step)
    #expect(
      try numbers(cluster, "stopped", on: "node1", step: step) == numbers(cluster, "stopped", on: "node2", step: step))
  }

  /// A host without room for its tokens ends the run by its name; one without room for copies does not.
  private func fullDisks(_ cluster: SimulatedCluster, _ hosts: [String]) throws {
    try cluster.shell("node2", "mkdir -p small && mount -t tmpfs -o size=16k none small")
    let corpus = try run(cluster, on: hosts, set("name=full", "corpus.cache=small", "training.maximumSteps=20"))
    #expect(corpus.status == 1, "\(corpus.output)")
    #expect(corpus.error.contains("rank 1 on node2: cannot write small/sent-"), "\(corpus.error)")
    #expect(corpus.error.contains("No space left on device"), "\(corpus.error)")
    #expect(try cluster.shell("node2", "ls small/*/").contains("manifest.json") == false)
    let copies = try run(cluster, on: hosts, set("name=full", "output.directory=small", "training.maximumSteps=90"))
    #expect(copies.status == 0, "\(copies.error)")
    let warnings = try copies.events("warning")
    #expect(warnings.count { "\($0)".contains("could not be copied to node2: cannot") } >= 2, "\(warnings)")
  }
}
