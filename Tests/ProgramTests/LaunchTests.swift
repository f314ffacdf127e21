import Foundation
import TestSupport
import Testing

/// `lockstep launch` with a real mpirun on this machine.
@Suite struct LaunchTests {
  private let settings = set(
    "training.epochs=24", "model.hiddenSizes=[96, 96]", "output.reportSeconds=0", "generation.temperatures=[]",
    "coordinator.checkpoint=[50 steps]", "output.keep=3")

  /// In a folder, two ranks of one thread; ended by force after `seconds`.
  private func launch(
    _ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:], seconds: Double = 180,
    signal: Int32? = nil, whenOutputHas text: String = ""
  ) throws -> Outcome {
    try Programs.run(
      "\(Programs.folder)/lockstep", ["launch", "-n", "2"] + arguments, in: folder.path, seconds: seconds,
      environment: Programs.mpirunEnvironment.merging(environment) { $1 }, signal: signal, whenOutputHas: text)
  }

  // MARK: - Ends

  @Test func aRunIsTrainedAsByMPIRun() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let whole = try Programs.lockstepd(ranks: 2, ["run", configuration] + set("name=whole"), in: folder.path)
    #expect(whole.status == 0, "\(whole.error)")
    let launched = try launch([configuration, "--log-format", "json"] + set("name=launched"), in: folder)
    #expect(launched.status == 0, "\(launched.error)")
    #expect(try launched.events("finished").count == 1, "its output passes through")
    #expect(try folder.numbers(of: "launched") == folder.numbers(of: "whole"))
    #expect(launched.error.contains("lockstep launch: ranks: 2, threads each: 1"), "\(launched.error)")
  }

  @Test(arguments: [(SIGINT, "INT"), (SIGTERM, "TERM"), (SIGUSR1, "USR1"), (SIGHUP, "HUP")])
  func signalsSaveAndStop(signal: Int32, name: String) throws {
    let folder = try TemporaryFolder()
    let command = [try folder.writeSmallConfiguration()] + settings + endless
    let outcome = try launch(command, in: folder, signal: signal, whenOutputHas: "  step ")
    #expect(outcome.status == 75, "\(outcome.error)")
    #expect(outcome.output.contains("stopped (signal \(name))"), "\(outcome.output)")
    #expect(!outcome.error.contains("restart"), "\(outcome.error)")
    #expect(!outcome.error.contains("non-zero"), "mpirun's words on statuses are no news: \(outcome.error)")
  }

  @Test func errorsOfRanksAreNotTriedAgain() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    #expect(try launch([configuration], in: folder).status == 0)
    let again = try launch([configuration, "--resume", "never"], in: folder)
    #expect(again.status == 1 && again.error.contains("lockstepd: error: "), "\(again.error)")
    #expect(!again.error.contains("starting again"), "\(again.error)")
  }

  /// mpirun gets none of the launcher's files and sockets.
  @Test func programsAreGivenNoDescriptors() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let mpirun = try Programs.run("sh", ["-c", "command -v mpirun"], in: "/").lines[0]
    let script = "#!/bin/sh\n[ \"$1\" = --version ] || ls -l /proc/$$/fd >descriptors\nexec \(mpirun) \"$@\"\n"
    let wrapper = try folder.write("bin/mpirun", script)
    chmod(wrapper, 0o755)
    let path = try #require(ProcessInfo.processInfo.environment["PATH"])
    let outcome = try launch(
      [configuration] + set("training.maximumSteps=5"), in: folder,
      environment: ["PATH": "\(folder.file("bin")):\(path)"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let listing = try String(contentsOfFile: folder.file("descriptors"), encoding: .utf8)
    #expect(listing.contains(" 2 -> ") && !listing.contains("socket:") && !listing.contains("anon_inode"), "\(listing)")
  }

  // MARK: - Accidents

  /// A rank, or mpirun, is killed: the run resumes from its newest checkpoint, and ends with the same bits.
  @Test(arguments: ["lockstepd", "mpirun"])
  func whatIsKilledIsStartedAgain(victim: String) throws {
    let folder = try TemporaryFolder()
    let command = [try folder.writeSmallConfiguration()] + settings
    let whole = try launch(command + set("name=whole"), in: folder)
    #expect(whole.status == 0, "\(whole.error)")
    let value = UUID().uuidString
    let killer = Killer(
      victim, mark: "LOCKSTEP_TEST_LAUNCH=\(value)", after: { try folder.savedStep(of: "killed") >= 100 })
    let killed = try launch(command + set("name=killed"), in: folder, environment: ["LOCKSTEP_TEST_LAUNCH": value])
    #expect(killer.wait() == 1)
    #expect(killed.status == 0, "\(killed.error)")
    #expect(killed.output.contains("resumes at step"), "\(killed.output)")
    let story = try #require(killed.error.split(separator: "\n").last)
    #expect(story.hasPrefix("lockstep launch: finished, after 1 restart. "), "\(killed.error)")
    #expect(story.contains("killed") && story.contains("; training again "), "\(story)")
    #expect(try folder.numbers(of: "killed") == folder.numbers(of: "whole"))
  }

  @Test func restartsHaveALimit() throws {
    let folder = try TemporaryFolder()
    let command = [try folder.writeSmallConfiguration(), "--max-restarts", "0"] + settings + endless
    let value = UUID().uuidString
    let killer = Killer(
      "lockstepd", mark: "LOCKSTEP_TEST_LAUNCH=\(value)", after: { try folder.savedStep(of: "small") >= 50 })
    let killed = try launch(command, in: folder, environment: ["LOCKSTEP_TEST_LAUNCH": value])
    #expect(killer.wait() == 1)
    #expect(killed.status == 137, "\(killed.error)")
    #expect(killed.error.contains("lockstep launch: gave up with status 137. "), "\(killed.error)")
  }

  /// A rank of a daemon is killed in the middle of a run: it is kept up, and the run resumes.
  @Test func aDaemonIsKeptUp() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let (value, settings) = (UUID().uuidString, settings)
    let submitted = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      for _ in 0..<300 {
        let arguments = ["job", "submit", configuration, "--directory", "queue"] + settings
        let job = try? Programs.run("\(Programs.folder)/lockstep", arguments, in: folder.path)
        if job?.status == 0 { break }
        usleep(100_000)
      }
      submitted.signal()
    }
    let killer = Killer(
      "lockstepd", mark: "LOCKSTEP_TEST_LAUNCH=\(value)",
      after: { try folder.savedStep(of: "small", in: "queue") >= 100 })
    let outcome = try launch(
      ["--serve", "--directory", "queue"], in: folder, environment: ["LOCKSTEP_TEST_LAUNCH": value], signal: SIGTERM,
      whenOutputHas: "finished (epochs)")
    submitted.wait()
    #expect(killer.wait() == 1)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("resumes at step"), "\(outcome.output)")
    #expect(outcome.error.contains("lockstep launch: finished, after 1 restart. "), "\(outcome.error)")
  }

  // MARK: - What is said before

  @Test func nothingIsStartedToLookAtIt() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    try folder.write("hosts", "localhost slots=2\n")
    for arguments in [["--dry-run"], ["--dry-run", "--hostfile", "hosts"]] {
      let outcome = try launch(arguments + [configuration], in: folder)
      #expect(outcome.status == 0, "\(outcome.error)")
      let line = try #require(outcome.lines.last)
      #expect(line.contains("/mpirun ") && line.contains(" -n 2 ") && line.contains("lockstepd run -"), "\(line)")
      #expect(!folder.has("checkpoints"))
    }
  }

  @Test func mistakesAreRefused() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    try folder.write("hosts", "localhost slots=2\nnode2 slot=3\nnode3 slots=none\n")
    let hosts = try launch([configuration, "--hostfile", "hosts"], in: folder)
    #expect(hosts.status == 1)
    #expect(hosts.error.contains("hosts:2: ") && hosts.error.contains("hosts:3: "), "\(hosts.error)")
    let program = try launch([configuration, "--program", "/nowhere/lockstepd"], in: folder)
    #expect(program.status == 1)
    #expect(program.error.contains("expected the program at /nowhere/lockstepd, found none; "), "\(program.error)")
    let text = try launch([configuration] + set("corpus.sampleLines=0", "corpus.text=nothing.txt"), in: folder)
    #expect(text.status == 1)
    #expect(text.error.contains("expected the corpus, found none (no nothing.txt in /"), "\(text.error)")
    for arguments in [[], [configuration, "--serve"], [configuration, "--threads", "0"]] {
      #expect(try launch(arguments, in: folder).status == 64, "\(arguments)")
    }
    // The most there can be, and why.
    for (arguments, mistake) in [
      (
        ["-n", "1000000000"],
        "-n is 1000000000; expected 1 to 10: training.batchSize is 10, and a rank that trains takes one at least"
      ),
      (["-n", "11"], "-n is 11; expected 1 to 10: training.batchSize is 10, and"),
      (["-n", "13"] + set("coordinator.evaluators=2"), "-n is 13; expected 1 to 12: training.batchSize"),
      (["--min-ranks", "11"], "--min-ranks is 11; expected 1 to 10: "),
      (["-n", "9999"] + set("training.batchSize=10000"), "-n is 9999; expected 1 to "),
      (["--threads", "1000000"], "--threads is 1000000; expected 1 to 4096"),
      (["-n", "0"], "-n is 0; expected 1 or more"),
    ] {
      let outcome = try Programs.run(
        "\(Programs.folder)/lockstep", ["launch", configuration] + arguments, in: folder.path)
      #expect(outcome.status == 64 && outcome.error.contains(mistake), "\(arguments): \(outcome.error)")
    }
    #expect(!folder.has("checkpoints"))
  }

  @Test func aHostTellsAboutItself() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    #expect(try launch([configuration], in: folder).status == 0)
    let text = try String(contentsOfFile: folder.file(configuration), encoding: .utf8)
    let outcome = try Programs.run(
      "\(Programs.folder)/lockstepd", ["check", "-", "--format", "json"], in: folder.path, input: text)
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect((report["digest"] as? String)?.count == 64)
    #expect(report["checkpoint"] as? Int ?? 0 > 100)
    #expect((report["corpus"] as? [String: Any])?.keys.first == "prepared")
    let mpirun = try Programs.run("mpirun", ["--version"], in: "/").output
    let library = try #require(report["library"] as? String)
    #expect(mpirun.contains(") \(library)\n"), "\(library)")
    let people = try Programs.run("\(Programs.folder)/lockstepd", ["check", configuration], in: folder.path)
    #expect(people.status == 0 && people.output.contains("checkpoint  step "), "\(people.output)")
  }
}

extension TemporaryFolder {
  fileprivate func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }
}

/// Kills a process of a name that has a mark in its environment, once something is so.
private final class Killer: @unchecked Sendable {
  private let ended = DispatchSemaphore(value: 0)
  private var killed = 0

  init(_ name: String, mark: String, after isTime: @escaping @Sendable () throws -> Bool) {
    Thread.detachNewThread { [self] in
      defer { ended.signal() }
      for _ in 0..<18_000 where killed == 0 {
        usleep(10_000)
        guard (try? isTime()) == true, let victim = Self.find(name, mark) else { continue }
        killed += kill(victim, SIGKILL) == 0 ? 1 : 0
      }
    }
  }

  /// How many were killed.
  func wait() -> Int {
    ended.wait()
    return killed
  }

  private static func find(_ name: String, _ mark: String) -> pid_t? {
    let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return processes.compactMap { pid_t($0) }.first { process in
      (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) == "\(name)\n"
        && FileManager.default.contents(atPath: "/proc/\(process)/environ")?.range(of: Data(mark.utf8)) != nil
    }
  }
}
