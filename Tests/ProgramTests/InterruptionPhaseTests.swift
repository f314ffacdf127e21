import ControlAPI
import Files
import Foundation
import TestSupport
import Testing

/// Whatever a run is at, it ends within ten seconds of being asked to, and nothing is lost or left that looks whole.
@Suite struct InterruptionPhaseTests {
  private static let signals: [(Int32, String)] = [
    (SIGINT, "INT"), (SIGTERM, "TERM"), (SIGHUP, "HUP"), (SIGUSR1, "USR1"),
  ]
  private static let others: [(Int32, String)] = [(SIGUSR2, "USR2"), (SIGXCPU, "XCPU"), (SIGPWR, "PWR")]
  private let told = set("output.reportSeconds=0")
  /// Of a text that takes hours to make.
  private static let hugeText = ["corpus.sampleLines=10000000000"]
  /// Of two samples, one for each of two ranks.
  private static let hugeSamples = [
    "training.maximumSteps=3", "generation.length=1000000000", "generation.temperatures=[0.5, 1]",
  ]

  /// Of 1.1 million tokens, on as few lanes as there are ranks.
  private static let longEvaluation = [
    "corpus.sampleLines=100000", "corpus.split=[0.02, 0.97, 0.01]", "coordinator.evaluate=[3 steps]",
  ]

  private func expectStop(_ outcome: Outcome, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      outcome.status == 75 && outcome.output.contains("stopped (signal \(name)) "),
      "\(outcome.status): \(outcome.output.suffix(2000))\(outcome.error)", sourceLocation: sourceLocation)
  }

  /// To its end.
  private func train(_ settings: [String], in folder: TemporaryFolder) throws -> Outcome {
    try Programs.run(
      "\(Programs.folder)/lockstep", ["train", folder.writeSmallConfiguration()] + settings, in: folder.path,
      environment: ["OMP_NUM_THREADS": "1"])
  }

  /// All files below a folder.
  private func files(below path: String) -> [String] { FileManager.default.subpaths(atPath: path) ?? [] }

  // MARK: - Before the first step

  @Test(arguments: signals) func whilePreparing(signal: Int32, name: String) throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay.training(told + Self.hugeText.flatMap { set($0) }, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput("preparing the corpus: sampling")
    run.send(signal)
    let outcome = try run.end()
    expectStop(outcome, name)
    #expect(outcome.output.hasPrefix("run small begins in checkpoints/small\n"))
    #expect(outcome.output.contains("while it was being prepared"))
    #expect(files(below: folder.file("checkpoints")).sorted() == [".corpora", "small", "small/lock"])
  }

  @Test func whilePreparingOnRanks() throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay(
      ["mpirun"] + Programs.mpirunOptions
        + ["-n", "2", "\(Programs.folder)/lockstepd", "run", folder.writeSmallConfiguration()] + told
        + Self.hugeText.flatMap { set($0) }, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput("preparing the corpus: sampling")
    run.send(SIGUSR1)
    expectStop(try run.end(), "USR1")
    #expect(files(below: folder.file("checkpoints")).sorted() == [".corpora", "small", "small/lock"])
  }

  @Test(arguments: [
    ["sample", "--lines", "4000000000", "--output", "made"],
    ["prepare", "--tokenizer", "characters", "--output", "made", "text.txt"],
  ])
  func whileACommandPrepares(command: [String]) throws {
    let folder = try TemporaryFolder()
    // Holes: a text of zeros, which takes no room.
    try folder.write("text.txt", "")
    #expect(truncate(folder.file("text.txt"), 1 << 33) == 0)
    let run = try UnderWay(["\(Programs.folder)/lockstep", "corpus"] + command, in: folder)
    defer { run.endByForce() }
    try run.wait("something of it") { files(below: folder.path).contains { $0.contains(".partial-") } }
    run.send(SIGTERM)
    let outcome = try run.end()
    #expect(outcome.status == 128 + SIGTERM && outcome.error.contains("stopped (signal TERM)"), "\(outcome.error)")
    #expect(!files(below: folder.path).contains { $0.contains("partial") || $0.hasPrefix("made/") })
  }

  /// Where nobody writes into a pipe, and where somebody has stopped to.
  @Test(arguments: ["sleep 60 |", "sh -c 'echo some text; exec sleep 60' |", ""])
  func whileACommandWaitsForInput(source: String) throws {
    let folder = try TemporaryFolder()
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    let input = source.isEmpty ? "pipe" : "-"
    let run = try UnderWay(
      [
        "bash", "-c",
        "\(source) { echo $BASHPID >id; exec \"$0\" corpus prepare --output made \(input); }; exit ${PIPESTATUS[-1]}",
        "\(Programs.folder)/lockstep",
      ], in: folder)
    defer { run.endByForce() }
    // It listens: the signal is blocked.
    let id = try run.value("its process") { () -> pid_t? in
      let text = try? String(contentsOfFile: folder.file("id"), encoding: .utf8)
      guard let id = text.flatMap({ pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }) else { return nil }
      let status = (try? String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)) ?? ""
      let blocked = status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }?.split(separator: "\t").last
      return blocked.flatMap { UInt64($0, radix: 16) }.map { $0 & 1 << (UInt64(SIGTERM) - 1) != 0 } == true ? id : nil
    }
    kill(id, SIGTERM)
    let deadline = ContinuousClock.now + .seconds(10)
    while FileSystem.exists("/proc/\(id)/exe"), .now < deadline { usleep(20_000) }
    #expect(!FileSystem.exists("/proc/\(id)/exe"))
    #expect(!files(below: folder.path).contains { $0.contains("partial") || $0.hasPrefix("made") })
  }

  @Test func whileBeginning() throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay.training(told + endless, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput("corpus   ")
    run.send(SIGTERM)
    expectStop(try run.end(), "TERM")
    let whole = try Programs.lockstep("inspect", "checkpoints/small", in: folder.path)
    #expect(whole.status == 0, "\(whole.error)")
  }

  // MARK: - Afterwards

  @Test(arguments: signals + others) func whileTraining(signal: Int32, name: String) throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay.training(told + endless, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput("  step ")
    // Passed on twice at once, as by a terminal and by a parent, it is one request.
    run.send(signal)
    run.send(signal)
    expectStop(try run.end(), name)
    #expect(try folder.savedStep(of: "small") > 0)
  }

  @Test func underNohupATerminalMayGo() throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay.training(told + endless, in: folder, ignored: "HUP")
    defer { run.endByForce() }
    try run.waitForOutput("  step ")
    run.send(SIGHUP)
    try run.waitForOutput(" 2/100000")
    run.send(SIGTERM)
    expectStop(try run.end(), "TERM")
  }

  @Test func whileSaving() throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay.training(
      ["--log-format", "json"] + endless + set("coordinator.checkpoint=[1 steps]"), in: folder)
    defer { run.endByForce() }
    try run.waitForOutput(#""event":"saved""#)
    run.send(SIGTERM)
    let outcome = try run.end()
    #expect(outcome.status == 75, "\(outcome.error)")
    let step = try #require(try outcome.events("interrupted").first?["step"] as? Int)
    #expect(try folder.savedStep(of: "small") == step)
    #expect(!files(below: folder.file("checkpoints")).contains { $0.contains("partial") })
  }

  /// An evaluation that would take minutes is given up, and made again by the run that is resumed.
  @Test func whileEvaluating() throws {
    let folder = try TemporaryFolder()
    let text = Self.longEvaluation.flatMap { set($0) }
    let run = try UnderWay.training(told + text + set("evaluation.lanes=1") + endless, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput("evaluating ")
    run.send(SIGTERM)
    let outcome = try run.end()
    expectStop(outcome, "TERM")
    #expect(outcome.output.contains("after step 3;") && !outcome.output.contains("validation loss"))
    // On as many lanes as the loss does not depend on, it is soon done.
    for name in ["small", "whole"] {
      let rest = try train(
        text + set("name=\(name)", "evaluation.lanes=200", "training.maximumSteps=5", "generation.temperatures=[]"),
        in: folder)
      #expect(rest.status == 0 && rest.output.contains("step 3  validation loss"), "\(rest.error)")
    }
    #expect(try folder.numbers(of: "small") == folder.numbers(of: "whole"))
  }

  /// The same on a rank set aside, while the other goes on training: it is made of the parameters it was begun with.
  @Test func whileOthersEvaluate() throws {
    let folder = try TemporaryFolder()
    let command =
      ["run", try folder.writeSmallConfiguration(), "--log-format", "json"] + Self.longEvaluation.flatMap { set($0) }
      + set("evaluation.lanes=1", "coordinator.evaluators=1", "generation.temperatures=[]") + endless
    let run = try UnderWay(
      ["mpirun"] + Programs.mpirunOptions + ["-n", "2", "\(Programs.folder)/lockstepd"] + command, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput(#""step":5,"#)
    run.send(SIGUSR1)
    let outcome = try run.end()
    #expect(outcome.status == 75 && !outcome.output.contains(#""event":"validation""#), "\(outcome.error)")
    let step = try folder.savedStep(of: "small")
    for name in ["small", "whole"] {
      let rest = try Programs.lockstepd(
        ranks: 2, command + set("name=\(name)", "evaluation.lanes=200", "training.maximumSteps=\(step + 4)"),
        in: folder.path)
      #expect(rest.status == 0, "\(rest.error)")
      #expect(try rest.events("validation").first?["step"] as? Int == 3, "\(rest.output)")
    }
    #expect(try folder.numbers(of: "small") == folder.numbers(of: "whole"))
  }

  @Test(arguments: [(SIGINT, "INT"), (SIGHUP, "HUP")])
  func whileWritingSamples(signal: Int32, name: String) throws {
    let folder = try TemporaryFolder()
    let run = try UnderWay.training(told + Self.hugeSamples.flatMap { set($0) }, in: folder)
    defer { run.endByForce() }
    try run.waitForOutput("test     loss")
    run.send(signal)
    expectStop(try run.end(), name)
    let rest = try train(Self.hugeSamples.flatMap { set($0) } + set("generation.length=5"), in: folder)
    #expect(rest.status == 0 && rest.output.contains("sample at temperature 1"), "\(rest.error)")
    #expect(rest.output.hasPrefix("run small resumes at step 3 "), "\(rest.output)")
  }

  @Test func whilePaused() throws {
    let folder = try TemporaryFolder()
    let daemon = DaemonProcess(
      ["run", try folder.writeSmallConfiguration()] + endless, serving: "checkpoints/small", in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    try daemon.waitForStep(5, of: "small")
    let socket = try daemon.socket()
    #expect(try socket.post("/v1/pause").status == 202)
    try daemon.wait("the pause") {
      try socket.get("/v1/status").value(Status.self).activity == .paused ? true : nil
    }
    let begin = ContinuousClock.now
    #expect(try daemon.end(SIGUSR1) == 75)
    #expect(ContinuousClock.now - begin < .seconds(10))
  }

  // MARK: - What only the first rank knows; and at once

  /// Cancelled jobs, in every phase, on two ranks, of which the first alone is told.
  @Test func cancelledJobsEnd() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let daemon = DaemonProcess(["serve"], in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let phases: [(name: String, settings: [String], step: Int?)] = [
      ("preparing", Self.hugeText, nil), ("evaluating", Self.longEvaluation + ["evaluation.lanes=2"], 3),
      ("sampling", Self.hugeSamples, 3), ("training", ["training.epochs=100000"], 3),
    ]
    for phase in phases {
      let id = try daemon.submit(configuration, phase.settings + ["name=\(phase.name)"])
      if let step = phase.step {
        try daemon.waitForStep(step, of: phase.name)
      } else {
        try daemon.wait(for: .running, of: id)
      }
      try daemon.job("cancel", "\(id)")
      let socket = try daemon.socket()
      try daemon.wait("the end of \(phase.name)", seconds: 10) {
        try socket.get("/v1/queue/\(id)").value(ControlAPI.Job.self).state == .cancelled ? true : nil
      }
    }
    #expect(try daemon.end(SIGUSR1) == 0)
    let left = files(below: folder.file("checkpoints"))
    #expect(!left.contains { $0.contains("partial") }, "\(left)")
  }

  /// A rank that waits for one that prepares has nothing to give up; a second signal ends it at once, and with it the job.
  @Test func aSecondSignalEndsAtOnce() throws {
    let folder = try TemporaryFolder()
    let name = "twice-\(UUID().uuidString)"
    let job = try UnderWay(
      ["mpirun"] + Programs.mpirunOptions
        + ["-n", "2", "\(Programs.folder)/lockstepd", "run", folder.writeSmallConfiguration()] + told
        + Self.hugeText.flatMap { set($0) } + set("name=\(name)"), in: folder)
    defer { job.endByForce() }
    try job.waitForOutput("preparing the corpus: sampling")
    let rank = try #require(
      FileSystem.list("/proc").compactMap { pid_t($0) }.first { process in
        let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ") ?? Data()
        let command = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
        return environment.range(of: Data("OMPI_COMM_WORLD_RANK=1\0".utf8)) != nil
          && command.range(of: Data("name=\(name)".utf8)) != nil
      })
    kill(rank, SIGINT)
    kill(rank, SIGINT)
    usleep(1_000_000)
    #expect(job.isRunning, "two at once are one")
    kill(rank, SIGTERM)
    let outcome = try job.end()
    #expect(outcome.status == 128 + SIGTERM, "\(outcome.error)")
    #expect(outcome.error.contains("lockstepd: signal TERM, after another one: ended at once"), "\(outcome.error)")
    // What it left goes with the next start.
    let next = try Programs.lockstepd(
      ranks: 2, ["run", folder.writeSmallConfiguration()] + set("name=\(name)"), in: folder.path)
    #expect(next.status == 0, "\(next.error)")
  }
}
