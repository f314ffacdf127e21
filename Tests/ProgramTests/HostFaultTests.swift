import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// Runs over three hosts that share no folder, kept up by `lockstep launch` while hosts, links and ranks fail: they end by
/// themselves with the bits of a run that nothing happened to, and what went wrong is told by rank and host.
///
/// More faults, at other instants: `LOCKSTEP_FAULTS=5 LOCKSTEP_SEED=7 launch/test --filter HostFaultTests`, which prints
/// how long each took to be named and to be trained on after.
@Suite(.serialized, .enabled(if: SimulatedCluster.isPermitted, SimulatedCluster.isForbidden))
struct HostFaultTests {
  enum Fault: String, CaseIterable {
    case rankKilled, hostKilled, linkCut, rankFrozen, firstHostKilled, slowLink

    /// Who is to be named; nobody where the run only becomes slow.
    var named: (rank: Int, host: String)? {
      switch self {
      case .rankKilled, .rankFrozen: (1, "node2")
      case .hostKilled, .linkCut: (2, "node3")
      case .firstHostKilled: (0, "node1")
      case .slowLink: nil
      }
    }
  }

  private static func setting(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }
  private let rounds = Self.setting("LOCKSTEP_FAULTS") ?? 1

  private static let steps = 2400
  private static let settings =
    set(
      "training.reproducible=true", "training.laneGroups=6", "training.batchSize=12", "training.epochs=1000",
      "training.maximumSteps=\(steps)", "training.stallTimeout=8", "model.hiddenSizes=[64, 64]", "model.dropout=0.2",
      "corpus.sampleLines=0", "corpus.text=text.txt", "corpus.distribute=true", "coordinator.checkpoint=[40 steps]",
      "coordinator.evaluate=[800 steps]", "generation.temperatures=[]")

  @Test func runsEndWithTheSameBitsWhateverHappens() throws {
    let here = try TemporaryFolder()
    let configuration = try here.writeSmallConfiguration()
    let sample = try Programs.lockstep("corpus", "sample", "--lines", "4000", "--output", "sample", in: here.path)
    try #require(sample.status == 0, "\(sample.error)")
    try here.write("text.txt", MappedFile.withBytes(of: here.file("sample/sample.txt")) { Array($0) })
    let local = try Programs.lockstepd(ranks: 3, ["run", configuration] + Self.settings, in: here.path)
    try #require(local.status == 0, "\(local.error)")
    let reference = try here.numbers(of: "small")

    let cluster = try SimulatedCluster(nodes: 3)
    try cluster.copy(on: "node1", here.file("text.txt"))
    try cluster.copy(on: "head", here.file(configuration))
    let undisturbed = try launch(cluster, "undisturbed", configuration)
    #expect(undisturbed.outcome.status == 0, "\(undisturbed.outcome.error)")
    #expect(try numbers(cluster, "undisturbed") == reference)

    var random = SeededRandom(seed: Self.setting("LOCKSTEP_SEED") ?? 1)
    for round in 0..<rounds {
      for fault in Fault.allCases {
        let name = "\(fault)-\(round)"
        let instant = Int.random(in: 40...Self.steps / 2, using: &random)
        let run = try launch(cluster, name, configuration) { try strike(cluster, fault, run: name, atStep: instant) }
        try repair(cluster, fault)
        let error = run.outcome.error
        #expect(run.outcome.status == 0, "\(name) struck at step \(instant): \(error)")
        let struck = try #require(run.struck, "\(name) ended before it was struck")
        #expect(try numbers(cluster, name) == reference, "\(name) struck at step \(instant)")
        if let (rank, host) = fault.named {
          let incident = try #require(Incident(error), "\(name) struck at step \(instant): \(error)")
          #expect(incident.text.contains("rank \(rank) on \(host)"), "\(name) struck at step \(instant): \(error)")
          #expect(incident.text.contains("; training again "), "\(name) struck at step \(instant): \(error)")
          print(
            "\(name): struck at step \(instant); named within \(max(1, Int(incident.date.timeIntervalSince(struck)))) s; "
              + incident.text)
        } else {
          #expect(!error.contains("starting again"), "\(name) struck at step \(instant): \(error)")
          print(
            "\(name): struck at step \(instant); took \(Int(run.seconds)) s, restarts none: \(Incident(error) == nil)"
          )
        }
      }
    }
  }

  /// The first that the launcher's last paragraph tells of.
  private struct Incident {
    let date: Date
    let text: String

    init?(_ error: String) {
      guard let story = error.split(separator: "\n").last(where: { $0.hasPrefix("lockstep launch: finished, after ") }),
        let match = story.firstMatch(of: /(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d): (.*)/)
      else { return nil }
      let format = DateFormatter()
      format.locale = Locale(identifier: "en_US_POSIX")
      format.dateFormat = "yyyy-MM-dd HH:mm:ss"
      guard let date = format.date(from: String(match.1)) else { return nil }
      self.date = date
      text = String(match.2)
    }
  }

  private struct Launched {
    let outcome: Outcome
    let seconds: Double
    /// When the fault came.
    let struck: Date?
  }

  /// Launches a run on three ranks, two at least, while `fault` is at work on a thread of its own.
  private func launch(
    _ cluster: SimulatedCluster, _ name: String, _ configuration: String,
    during fault: @escaping @Sendable () throws -> Date? = { nil }
  ) throws -> Launched {
    let begin = ContinuousClock.now
    let striking = Striking(fault)
    let outcome = try cluster.launch(
      ["--hostfile", "hosts", "--min-ranks", "2", configuration] + Self.settings + set("name=\(name)"), seconds: 300)
    return Launched(outcome: outcome, seconds: (ContinuousClock.now - begin) / .seconds(1), struck: try striking.wait())
  }

  private final class Striking: @unchecked Sendable {
    private let ended = DispatchSemaphore(value: 0)
    private var result: Result<Date?, any Error> = .success(nil)

    init(_ body: @escaping @Sendable () throws -> Date?) {
      Thread.detachNewThread { [self] in
        result = Result { try body() }
        ended.signal()
      }
    }

    func wait() throws -> Date? {
      ended.wait()
      return try result.get()
    }
  }

  /// Waits until a checkpoint of that step or a later one is there; returns when the fault came.
  private func strike(
    _ cluster: SimulatedCluster, _ fault: Fault, run: String, atStep step: Int
  ) throws -> Date? {
    let least = FileSystem.name(of: CheckpointStore("").path(step: step))
    var hasBegun = false
    for _ in 0..<1200 where !hasBegun {
      usleep(20_000)
      hasBegun = try cluster.run("node1", "ls", "checkpoints/\(run)").lines.contains {
        $0.hasPrefix("step-") && $0 >= least
      }
    }
    let now = Date()
    switch fault {
    case .rankKilled: try cluster.shell("node2", "pkill -KILL -x lockstepd")
    case .rankFrozen: try cluster.shell("node2", "pkill -STOP -x lockstepd")
    case .hostKilled: try cluster.command(["stop", "node3"])
    case .linkCut: try cluster.command(["cut", "node3"])
    case .firstHostKilled:
      try cluster.command(["stop", "node1"])
      sleep(3)
      try cluster.command(["start", "node1"])
    case .slowLink:
      try cluster.command(["link", "node2", "--rate", "10mbit", "--loss", "5%"])
      sleep(30)
      try cluster.command(["link", "node2", "--rate", "none", "--loss", "0%"])
    }
    return now
  }

  private func repair(_ cluster: SimulatedCluster, _ fault: Fault) throws {
    switch fault {
    case .hostKilled: try cluster.command(["start", "node3"])
    case .linkCut: try cluster.command(["join", "node3"])
    case .rankKilled, .rankFrozen, .firstHostKilled, .slowLink: break
    }
    for node in ["node1", "node2", "node3"] {
      #expect(try cluster.run(node, "pgrep", "-x", "lockstepd").status == 1, "\(node) has ranks left after \(fault)")
    }
  }

  /// All numbers of a run's last checkpoint, from whichever host has it.
  private func numbers(_ cluster: SimulatedCluster, _ run: String) throws -> [[Double]] {
    let folder = try TemporaryFolder()
    let path = CheckpointStore("checkpoints/\(run)").path(step: Self.steps)
    let host = try #require(
      try ["node1", "node2", "node3"].first { try cluster.run($0, "test", "-e", path).status == 0 },
      "no host has the last checkpoint of \(run)")
    try cluster.fetch(path, from: host, into: folder)
    return try folder.numbers(of: run)
  }
}
