import ControlAPI
import Foundation
import TestSupport
import Testing

/// The daemon that works through a queue, as a person has it: killed, started again, given runs that fail.
@Suite struct ServeTests {
  /// For runs that are met before their end.
  private static let longer = ["training.epochs=40", "model.hiddenSizes=[48, 48]", "generation.temperatures=[]"]
  private static let endless = ["training.epochs=100000", "generation.temperatures=[]"]

  @Test func killedDaemonGoesOnToTheSameBits() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let settings = Self.longer + ["model.dropout=0.2", "coordinator.checkpoint=[70 steps]"]
    let seeds = ["first": "seed=1", "second": "seed=2"]
    for (name, seed) in seeds {
      let alone = settings + [seed, "name=\(name)-alone"]
      let outcome = try Programs.lockstepd(
        ranks: 2, ["run", configuration] + alone.flatMap { ["--set", $0] }, in: folder.path)
      try #require(outcome.status == 0, "\(outcome.error)")
    }

    let daemon = DaemonProcess(["serve"], in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let first = try daemon.submit(configuration, settings + [seeds["first"]!, "name=first"])
    let second = try daemon.submit(configuration, settings + [seeds["second"]!, "name=second"])
    try daemon.waitForStep(300, of: "first")
    try daemon.job("pause", "\(first)")
    try daemon.waitForStep(300, of: "second")
    #expect(try daemon.jobs().map(\.id) == [second, first])
    #expect(try daemon.jobs().map(\.state) == [.running, .paused])

    try daemon.kill(.mpirun)
    try daemon.start()
    #expect(try daemon.waitForStep(600, of: "second").mode == .serve)
    #expect(try daemon.jobs().map(\.state) == [.running, .paused])
    #expect(try daemon.jobs().map(\.deaths) == [1, 0])
    try daemon.job("resume", "\(first)")
    #expect(try daemon.jobs().map(\.state) == [.running, .waiting])
    try daemon.waitForStep(900, of: "second")
    try daemon.kill(.allRanks)
    try daemon.start()

    try daemon.wait(for: .finished, of: second)
    try daemon.waitForStep(600, of: "first")
    try daemon.kill(.oneRank)
    try daemon.start()
    try daemon.wait(for: .finished, of: first)
    let jobs = try daemon.jobs()
    #expect(jobs.map(\.id) == [first, second], "the last to end first")
    #expect(jobs.map(\.deaths) == [1, 2])
    for job in jobs {
      #expect(job.state == .finished && job.step == job.totalSteps && job.error == nil)
      #expect(job.validation["perplexity"].map { $0 < 50 } == true)
      #expect(try job.submitted <= #require(job.started) && #require(job.started) < #require(job.ended))
    }
    for name in seeds.keys { #expect(try folder.numbers(of: name) == folder.numbers(of: "\(name)-alone"), "\(name)") }
    #expect(try folder.numbers(of: "first") != folder.numbers(of: "second"))

    try daemon.expectIdle("while there is nothing to do")
    #expect(try daemon.end(SIGUSR1) == 0, "nothing is left to do")
  }

  @Test func runsThatFailDoNotStopTheQueue() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let daemon = DaemonProcess(["serve"], in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let missing = try daemon.submit(
      configuration, ["name=missing", "corpus.sampleLines=0", "corpus.text=nowhere.txt"])
    let diverging = try daemon.submit(
      configuration, ["name=diverging", "optimizer.kind=sgd", "optimizer.learningRate=3e38", "training.clipNorm=0"])
    let small = try daemon.submit(configuration, ["name=small"])
    try daemon.wait(for: .finished, of: small)
    let missed = try daemon.wait(for: .failed, of: missing)
    #expect(missed.error?.contains("nowhere.txt") == true, "\(missed.error ?? "")")
    let diverged = try daemon.wait(for: .failed, of: diverging)
    #expect(diverged.error?.contains("is not a finite number") == true, "\(diverged.error ?? "")")
    #expect(missed.deaths == 0 && diverged.deaths == 0)

    // One that takes the daemon with it whenever it runs, before it has a new checkpoint.
    let deadly = try daemon.submit(
      configuration, Self.endless + ["name=deadly", "coordinator.checkpoint=[]", "coordinator.evaluate=[]"])
    let next = try daemon.submit(configuration, ["name=next"])
    for (deaths, victim) in Job.Victim.allCases.enumerated() {
      #expect(try daemon.wait(for: .running, of: deadly).deaths == deaths)
      try daemon.kill(victim)
      try daemon.start()
    }
    let dead = try daemon.wait(for: .failed, of: deadly)
    #expect(dead.deaths == 3 && dead.error?.contains("the daemon died 3 times") == true, "\(dead.error ?? "")")
    try daemon.wait(for: .finished, of: next)
    #expect(try daemon.jobs().map(\.id) == [next, deadly, small, diverging, missing])
    #expect(try daemon.end(SIGUSR1) == 0)
  }

  @Test func jobsAreMovedCancelledPausedAndLeftForLater() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let daemon = DaemonProcess(["serve"], in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let jobs = try ["a", "b", "c", "d"].map { try daemon.submit(configuration, Self.endless + ["name=\($0)"]) }
    try daemon.waitForStep(50, of: "a")
    try daemon.job("move", "\(jobs[3])", "0")
    try daemon.job("cancel", "\(jobs[1])")
    #expect(try daemon.jobs().map(\.name) == ["a", "d", "c", "b"])
    #expect(try daemon.jobs().map(\.state) == [.running, .waiting, .waiting, .cancelled])
    try expectRefusal(["move", "\(jobs[1])", "0"], saying: "is cancelled", in: folder)
    try expectRefusal(["cancel", "77"], saying: "there is no job 77", in: folder)
    try expectRefusal(["submit", configuration, "--set", "name=c"], saying: "in the queue already", in: folder)
    try expectRefusal(["submit", configuration, "--set", "trainig.epochs=3"], saying: "trainig", in: folder)

    // What a job may name: also through a folder that is served.
    try FileManager.default.createSymbolicLink(
      atPath: folder.file("checkpoints/etc"), withDestinationPath: "/etc")
    for path in ["/etc/hostname", "checkpoints/../../../../../etc/hostname", "checkpoints/etc/hostname"] {
      for key in ["corpus.text", "corpus.vocabulary", "model.from", "corpus.cache"] {
        let settings = ["--set", "\(key)=\(path)"] + (key == "corpus.text" ? ["--set", "corpus.sampleLines=0"] : [])
        try expectRefusal(["submit", configuration] + settings, saying: "\(key) is '\(path)'", in: folder)
      }
    }

    // The folder is taken.
    let second = try Programs.lockstepd(ranks: 2, ["serve"], in: folder.path, seconds: 60)
    #expect(second.status == 1)
    #expect(second.error.components(separatedBy: "lockstepd: error").count == 2, "\(second.error)")
    #expect(second.error.contains("checkpoints") && second.error.contains("another"), "\(second.error)")

    try daemon.job("cancel", "\(jobs[0])")
    try daemon.waitForStep(50, of: "d")
    #expect(try daemon.job("show", "\(jobs[0])").contains("cancelled"))
    let socket = try daemon.socket()
    #expect(try socket.post("/v1/pause").status == 202)
    let paused = try daemon.wait("the pause") {
      let status = try socket.get("/v1/status").value(Status.self)
      return status.activity == .paused ? status : nil
    }
    try daemon.expectIdle("while the run pauses")
    #expect(try socket.get("/v1/status").value(Status.self).run?.step == paused.run?.step)

    // Ended with work left, it goes on with it: not from the beginning, and no death is counted.
    #expect(try daemon.end(SIGUSR1) == 75)
    let reached = try #require(paused.run?.step)
    try daemon.start()
    try daemon.waitForStep(reached + 1, of: "d")
    #expect(try daemon.jobs().map(\.name) == ["d", "c", "a", "b"])
    #expect(try daemon.jobs().map(\.deaths) == [0, 0, 0, 0])
    // A run that is stopped pauses its job: else it would be begun again at once.
    #expect(try daemon.socket().post("/v1/stop").status == 202)
    try daemon.waitForStep(50, of: "c")
    #expect(try daemon.wait(for: .paused, of: jobs[3]).step.map { $0 > reached } == true)
    #expect(try daemon.end(SIGUSR1) == 75)
  }

  /// `lockstep job …` that fails with a message.
  private func expectRefusal(_ arguments: [String], saying part: String, in folder: TemporaryFolder) throws {
    let outcome = try Programs.run("\(Programs.folder)/lockstep", ["job"] + arguments, in: folder.path, seconds: 60)
    #expect(outcome.status == 1 && outcome.error.contains(part), "\(arguments): \(outcome.status) \(outcome.error)")
  }
}
