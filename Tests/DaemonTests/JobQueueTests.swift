import ControlAPI
import Files
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Daemon

/// The queue on disk. A daemon's death is a queue that is let go of and opened again.
@Suite struct JobQueueTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func open(onChange: @escaping @Sendable (Job) -> Void = { _ in }) throws -> JobQueue {
    try JobQueue(directory: folder.path, now: { 1000 }, onChange: onChange)
  }

  private static func configuration(_ name: String) -> JobSubmission {
    JobSubmission(configuration: "name: \(name)\ncorpus: {sampleLines: 10}\n")
  }

  private func file(_ id: Int) -> String { folder.file(".queue/0000000\(id).json") }

  private func states(_ queue: JobQueue) -> [String] {
    queue.list().jobs.map { "\($0.name) \($0.state.rawValue)" }
  }

  /// Expects that a call is refused, with a code and with a text that says some things.
  private func expectRefusal(
    _ code: String, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation, from body: () throws -> Void
  ) {
    let error = #expect(throws: ErrorBody.self, sourceLocation: sourceLocation, performing: body)
    #expect(error?.code == code, sourceLocation: sourceLocation)
    for part in parts {
      #expect(error?.message.contains(part) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }
  }

  // MARK: - A job's way

  @Test func jobsRunInTheOrderInWhichTheyCame() throws {
    let queue = try open()
    let a = try queue.submit(Self.configuration("a"))
    let b = try queue.submit(Self.configuration("b"))
    #expect([a.id, b.id] == [1, 2] && a.state == .waiting && a.submitted == 1000)
    #expect(queue.next()?.id == 1)
    let begun = try queue.begin(1)
    #expect(begun.state == .running && begun.started == 1000 && begun.deaths == 0)
    #expect(queue.next()?.id == 2)
    queue.updateProgress(1, step: 7, totalSteps: 10, validation: ["perplexity": 3.5])
    #expect(try queue.job(1).step == 7 && queue.job(1).totalSteps == 10)
    let ended = try queue.end(1, .finished)
    #expect(ended.state == .finished && ended.ended == 1000 && ended.deaths == 0)
    #expect(ended.step == 7 && ended.validation == ["perplexity": 3.5])
    try queue.begin(2)
    #expect(try queue.end(2, .failed("no memory")).error == "no memory")
    #expect(queue.next() == nil)
    #expect(states(queue) == ["b failed", "a finished"])
  }

  @Test func everythingIsThereAgainAfterARestart() throws {
    var queue: JobQueue? = try open()
    for name in ["a", "b", "c", "d", "e"] { _ = try queue?.submit(Self.configuration(name)) }
    try queue?.begin(1)
    queue?.updateProgress(1, step: 3, totalSteps: 9, validation: ["perplexity": .nan])
    try queue?.end(1, .finished)
    try queue?.begin(2)
    try queue?.end(2, .failed("it is full"))
    _ = try queue?.pause(3)
    _ = try queue?.cancel(4)
    _ = try queue?.move(5, to: 0)
    let before = queue?.list()
    let yaml = try queue?.configuration(of: 5)
    queue = nil
    let again = try open()
    #expect(again.problems.isEmpty)
    #expect(again.list() == before)
    #expect(states(again) == ["e waiting", "c paused", "d cancelled", "b failed", "a finished"])
    #expect(try again.configuration(of: 5) == yaml)
    #expect(try again.job(1).step == 3 && again.job(1).validation.isEmpty)
  }

  @Test func aJobThatRunsIsPausedAndCancelledWhenItHasStopped() throws {
    let queue = try open()
    for name in ["a", "b"] { _ = try queue.submit(Self.configuration(name)) }
    try queue.begin(1)
    #expect(try queue.pause(1).state == .running)
    #expect(try queue.end(1, .stopped).state == .paused)
    #expect(queue.next()?.id == 2)
    #expect(states(queue) == ["a paused", "b waiting"])
    #expect(try queue.resume(1).state == .waiting)
    #expect(queue.next()?.id == 1)
    try queue.begin(1)
    #expect(try queue.cancel(1).state == .running)
    expectRefusal("conflict", "being cancelled") { _ = try queue.pause(1) }
    #expect(try queue.end(1, .stopped).state == .cancelled)
    // A pause that is taken back before the run has stopped, and a run stopped because the daemon ends.
    try queue.begin(2)
    _ = try queue.pause(2)
    #expect(try queue.resume(2).state == .running)
    #expect(try queue.end(2, .stopped).state == .waiting)
    // A run that comes to its end before the wish is seen has come to its end.
    try queue.begin(2)
    _ = try queue.cancel(2)
    #expect(try queue.end(2, .finished).state == .finished)
  }

  @Test func whatWasWishedOfARunOutlivesTheDaemon() throws {
    var queue: JobQueue? = try open()
    _ = try queue?.submit(Self.configuration("a"))
    try queue?.begin(1)
    _ = try queue?.pause(1)
    queue = nil
    queue = try open()
    #expect(try queue?.job(1).state == .paused)
    _ = try queue?.resume(1)
    try queue?.begin(1)
    _ = try queue?.cancel(1)
    queue = nil
    #expect(try open().job(1).state == .cancelled)
  }

  @Test func jobsAreMoved() throws {
    let queue = try open()
    for name in ["a", "b", "c", "d"] { _ = try queue.submit(Self.configuration(name)) }
    func names() -> String { queue.list().jobs.map(\.name).joined() }
    _ = try queue.move(4, to: 0)
    #expect(names() == "dabc")
    _ = try queue.move(4, to: 2)
    #expect(names() == "abdc")
    _ = try queue.move(1, to: 3)
    #expect(names() == "bdca")
    _ = try queue.move(2, to: 1000)
    #expect(names() == "dcab")
    _ = try queue.move(3, to: 1)
    #expect(names() == "dcab")
    expectRefusal("bad-request", "-1", "0 (the first)") { _ = try queue.move(3, to: -1) }
    try queue.begin(4)
    expectRefusal("conflict", "running") { _ = try queue.move(4, to: 0) }
    // The place is one among those that wait: behind the job that runs.
    _ = try queue.move(2, to: 0)
    #expect(names() == "dbca")
  }

  @Test func jobsMovedBetweenTheSameTwoFindRoomForEver() throws {
    var queue: JobQueue? = try open()
    for name in ["a", "b", "c", "d"] { _ = try queue?.submit(Self.configuration(name)) }
    var expected = ["a", "b", "c", "d"]
    for turn in 0..<150 {
      _ = try queue?.move(turn.isMultiple(of: 2) ? 3 : 2, to: 1)
      let moved = turn.isMultiple(of: 2) ? "c" : "b"
      expected.removeAll { $0 == moved }
      expected.insert(moved, at: 1)
      #expect(queue?.list().jobs.map(\.name) == expected)
    }
    queue = nil
    #expect(try open().list().jobs.map(\.name) == expected)
  }

  // MARK: - Deaths

  @Test func aJobThatTakesTheDaemonDownThreeTimesHasFailed() throws {
    var queue: JobQueue? = try open()
    _ = try queue?.submit(Self.configuration("other"))
    _ = try queue?.submit(Self.configuration("deadly"))
    _ = try queue?.move(2, to: 0)
    for deaths in 1...2 {
      #expect(queue?.next()?.id == 2)
      try queue?.begin(2)
      queue = nil
      queue = try open()
      let job = try #require(try queue?.job(2))
      #expect(job.state == .waiting && job.deaths == deaths)
    }
    // A run that stops as it should takes its death back.
    try queue?.begin(2)
    #expect(try queue?.job(2).deaths == 2)
    try queue?.end(2, .stopped)
    queue = nil
    queue = try open()
    #expect(try queue?.job(2).deaths == 2)

    try queue?.begin(2)
    queue = nil
    queue = try open()
    let job = try #require(try queue?.job(2))
    #expect(job.state == .failed && job.deaths == 3 && job.ended == 1000)
    #expect(job.error?.contains("died 3 times") == true && job.error?.contains("submit") == true)
    #expect(queue?.problems.contains { $0.contains("job 2 (deadly)") } == true)
    #expect(queue?.next()?.id == 1)
    // It has failed for good, and its name is free.
    queue = nil
    queue = try open()
    #expect(queue?.problems == [])
    #expect(try queue?.submit(Self.configuration("deadly")).id == 3)
  }

  /// What the daemon dies of need not be the job: one that gets on is begun again.
  @Test func aNewCheckpointBetweenDeathsLetsAJobGoOn() throws {
    var queue: JobQueue? = try open()
    _ = try queue?.submit(Self.configuration("a"))
    for deaths in 1...7 {
      try queue?.begin(1)
      if deaths < 5 { try queue?.savedProgress(1) }
      queue = nil
      queue = try open()
      let job = try #require(try queue?.job(1))
      // Three deaths after the fourth checkpoint: in the run that made it, and in the two after that.
      #expect(job.state == (deaths < 6 ? .waiting : .failed) && job.deaths == deaths, "\(deaths)")
      if job.state == .failed { break }
    }
    #expect(try queue?.job(1).error?.contains("died 3 times while it ran, without a new checkpoint") == true)
  }

  /// Files that were written before there was such a count.
  @Test func deathsOfOlderFilesCount() throws {
    var queue: JobQueue? = try open()
    _ = try queue?.submit(Self.configuration("a"))
    try queue?.begin(1)
    queue = nil
    let text = try String(contentsOfFile: file(1), encoding: .utf8)
    #expect(text.contains("\"fruitlessDeaths\" : 1,"))
    let older = text.replacing("\"fruitlessDeaths\" : 1,", with: "").replacing("\"deaths\" : 1", with: "\"deaths\" : 3")
    try folder.write(".queue/00000001.json", older)
    #expect(try open().job(1).state == .failed)
  }

  @Test func aJobThatRanWhenTheDaemonDiedIsFirstAgain() throws {
    var queue: JobQueue? = try open()
    for name in ["a", "b", "c"] { _ = try queue?.submit(Self.configuration(name)) }
    _ = try queue?.pause(1)
    try queue?.begin(2)
    queue = nil
    let again = try open()
    #expect(states(again) == ["b waiting", "a paused", "c waiting"])
    #expect(again.next()?.id == 2)
  }

  @Test func theDeathIsOnDiskBeforeTheRunBegins() throws {
    let queue = try open()
    _ = try queue.submit(Self.configuration("a"))
    func deathsOnDisk() throws -> Int? {
      let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file(1))))
      return ((object as? [String: Any])?["job"] as? [String: Any])?["deaths"] as? Int
    }
    #expect(try deathsOnDisk() == 0)
    try queue.begin(1)
    #expect(try deathsOnDisk() == 1)
    try queue.end(1, .failed("no text"))
    #expect(try deathsOnDisk() == 0)
  }

  // MARK: - What callers do wrong

  @Test func aConfigurationIsCompletedAndCheckedWhenItIsSubmitted() throws {
    let queue = try open()
    let job = try queue.submit(
      JobSubmission(
        configuration: "name: mine\noutput: {directory: elsewhere}\n",
        settings: ["corpus.sampleLines=20", "training.epochs=3"]))
    let yaml = try queue.configuration(of: job.id)
    #expect(yaml.contains("epochs: 3") && yaml.contains("sampleLines: 20") && yaml.contains("batchSize:"))
    #expect(yaml.contains("directory: \(folder.path)") && !yaml.contains("elsewhere"))
    for (configuration, parts) in [
      ("name: a\ncorpus: {sampleLines: 10}\ntraning: {}\n", ["configuration:3", "'traning'", "training"]),
      ("name: a\n", ["exactly one source"]),
      ("name: ../a\ncorpus: {sampleLines: 10}\n", ["../a", "a name for a folder"]),
      ("name: .queue\ncorpus: {sampleLines: 10}\n", [".queue"]),
      ("name: -rf\ncorpus: {sampleLines: 10}\n", ["-rf", "does not begin with '-'"]),
      ("name: control.sock\ncorpus: {sampleLines: 10}\n", ["control.sock", "the daemon has a file"]),
      ("name: control.token.partial\ncorpus: {sampleLines: 10}\n", ["control.token.partial", "another one"]),
      ("name: \(String(repeating: "n", count: 5000))\ncorpus: {sampleLines: 10}\n", ["5000 bytes", "at most 100"]),
      ("name: a\ncorpus: {text: /etc/hostname}\n", ["corpus.text is '/etc/hostname'", folder.path, "--data"]),
      ("- 1\n", ["expected keys and values"]),
      (String(repeating: "[", count: 100_000), ["not YAML"]),
      ("a: \u{0}", ["not YAML"]),
      ("name: a\ncorpus: {sampleLines: 10}\noptimizer: {epsilon: .inf}\n", ["inf"]),
    ] {
      let error = #expect(throws: ErrorBody.self) {
        _ = try queue.submit(JobSubmission(configuration: configuration))
      }
      #expect(error?.code == "bad-request")
      for part in parts { #expect(error?.message.contains(part) == true, "\(error?.message.prefix(300) ?? "")") }
    }
    expectRefusal("bad-request", "--set", "key=value") {
      _ = try queue.submit(JobSubmission(configuration: "", settings: ["nonsense"]))
    }
    #expect(queue.list().jobs.count == 1)
  }

  @Test func aRunIsInTheQueueOnlyOnce() throws {
    let queue = try open()
    _ = try queue.submit(Self.configuration("a"))
    expectRefusal("conflict", "'a'", "job 1 (waiting)", "another name") {
      _ = try queue.submit(Self.configuration("a"))
    }
    try queue.begin(1)
    expectRefusal("conflict", "job 1 (running)") { _ = try queue.submit(Self.configuration("a")) }
    try queue.end(1, .finished)
    #expect(try queue.submit(Self.configuration("a")).id == 2)
  }

  @Test func whatCannotBeIsRefused() throws {
    let queue = try open()
    for body in [
      { _ = try queue.job(7) }, { _ = try queue.cancel(7) }, { _ = try queue.pause(0) }, { _ = try queue.resume(-1) },
      { _ = try queue.move(.max, to: 0) }, { _ = try queue.configuration(of: 7) },
    ] { expectRefusal("not-found", "there is no job", from: body) }
    _ = try queue.submit(Self.configuration("a"))
    _ = try queue.cancel(1)
    for body in [
      { _ = try queue.cancel(1) }, { _ = try queue.pause(1) }, { _ = try queue.resume(1) },
      { _ = try queue.move(1, to: 0) },
    ] { expectRefusal("conflict", "job 1 (a) is cancelled", from: body) }
    expectRefusal("conflict", "cancelled", "one that waits") { try queue.begin(1) }
    // What is so already is no error.
    _ = try queue.submit(Self.configuration("b"))
    #expect(try queue.resume(2).state == .waiting)
    _ = try queue.pause(2)
    #expect(try queue.pause(2).state == .paused)
  }

  @Test func theQueueIsBounded() throws {
    var table = JobTable([], lastID: 0)
    for index in 0..<JobTable.mostToDo {
      table.put(try table.submitting(name: "run-\(index)", configuration: "", at: 0))
    }
    expectRefusal("busy", "\(JobTable.mostToDo)") {
      _ = try table.submitting(name: "more", configuration: "", at: 0)
    }

    var queue: JobQueue? = try open()
    for index in 0..<(JobTable.mostOver + 5) {
      let id = try #require(try queue?.submit(Self.configuration("run-\(index)"))).id
      _ = try queue?.cancel(id)
    }
    #expect(queue?.list().jobs.map(\.id) == (6...JobTable.mostOver + 5).reversed())
    #expect(try FileSystem.list(folder.file(".queue")).count { $0.hasSuffix(".json") } == JobTable.mostOver)
    expectRefusal("not-found", "last 200") { _ = try queue?.job(5) }
    queue = nil
    #expect(try open().list().jobs.map(\.id) == (6...JobTable.mostOver + 5).reversed())
  }

  @Test func aNumberNeverComesToMeanAnotherJob() throws {
    var queue: JobQueue? = try open()
    for name in ["a", "b"] { _ = try queue?.submit(Self.configuration(name)) }
    queue = nil
    try FileSystem.remove(file(1))
    try FileSystem.remove(file(2))
    queue = try open()
    #expect(queue?.list().jobs == [])
    #expect(try queue?.submit(Self.configuration("c")).id == 3)
    // Without the counter, the files' names tell, also that of one that cannot be read.
    queue = nil
    try folder.write(".queue/last-id", "many")
    try folder.write(".queue/00000007.json", "")
    queue = try open()
    #expect(queue?.problems.count == 2)
    #expect(try queue?.submit(Self.configuration("d")).id == 8)
  }

  // MARK: - The disk

  @Test func filesThatAreNotAsTheyShouldBeAreToldOfAndLeftAlone() throws {
    var queue: JobQueue? = try open()
    for name in ["a", "b", "c", "d"] { _ = try queue?.submit(Self.configuration(name)) }
    queue = nil
    let whole = try String(contentsOfFile: file(4), encoding: .utf8)
    func changed(_ text: String, to other: String) -> String {
      #expect(whole.contains(text))
      return whole.replacingOccurrences(of: text, with: other)
    }
    let cases: [(name: String, text: String, says: String)] = [
      ("00000001.json", String(whole.prefix(100)), "damaged"),
      ("00000002.json", changed("\"format\" : 1", to: "\"format\" : 2"), "newer"),
      ("00000003.json", whole, "job 4"),
      ("00000010.json", "", "damaged"),
      ("00000011.json", "[1, 2]", "damaged"),
      ("00000012.json", changed("\"waiting\"", to: "\"asleep\""), "damaged"),
      ("00000013.json", changed("\"order\" : 4", to: "\"order\" : 1e300"), "damaged"),
      ("00000014.json", changed("\"deaths\" : 0", to: "\"deaths\" : \(Int.max)"), "damaged"),
      ("00000015.json", String(repeating: "[", count: 1_000_000), "damaged"),
      ("00000016.json", String(repeating: " ", count: JobFiles.largestFile + 1), "bytes"),
      ("9223372036854775807.json", whole, "no part of the queue"),
      ("4.json", whole, "no part of the queue"),
      ("00000005.json.bak", whole, "no part of the queue"),
      ("notes.txt", "hello", "no part of the queue"),
    ]
    for (name, text, _) in cases { try folder.write(".queue/\(name)", text) }
    try FileSystem.createDirectory(folder.file(".queue/00000020.json"))
    try folder.write(".queue/00000004.json.partial-1", "half")
    queue = try open()
    #expect(queue?.list().jobs.map(\.name) == ["d"])
    for (name, text, says) in cases {
      let found = queue?.problems.filter { $0.contains("/.queue/\(name) ") } ?? []
      #expect(found.count == 1 && found[0].contains(says), "\(name): \(found)")
      #expect(try String(contentsOfFile: folder.file(".queue/\(name)"), encoding: .utf8) == text)
    }
    #expect(queue?.problems.count == cases.count + 1)
    #expect(!FileSystem.exists(folder.file(".queue/00000004.json.partial-1")))
    // The queue goes on.
    let job = try #require(try queue?.submit(Self.configuration("e")))
    #expect(job.id == 21)
    try queue?.begin(4)
    try queue?.end(4, .finished)
    #expect(queue?.next()?.id == 21)
  }

  @Test func aChangeThatCannotBeWrittenIsNone() throws {
    let changes = Mutex<[Int]>([])
    let queue = try open { job in changes.withLock { $0.append(job.id) } }
    _ = try queue.submit(Self.configuration("a"))
    // A folder where the file is first written: opening it for writing fails, as it does on a full disk.
    let obstacle = "\(file(1)).partial-\(getpid())"
    try FileSystem.createDirectory(obstacle)
    let before = queue.list()
    for body in [
      { _ = try queue.cancel(1) }, { _ = try queue.pause(1) }, { _ = try queue.begin(1) },
    ] { #expect(throws: FileError.self, performing: body) }
    #expect(queue.list() == before)
    #expect(changes.withLock { $0 } == [1])
    try FileManager.default.removeItem(atPath: obstacle)
    #expect(try queue.pause(1).state == .paused)

    let other = "\(file(2)).partial-\(getpid())"
    try FileSystem.createDirectory(other)
    #expect(throws: FileError.self) { _ = try queue.submit(Self.configuration("b")) }
    #expect(queue.list().jobs.count == 1)
    try FileManager.default.removeItem(atPath: other)
    #expect(try queue.submit(Self.configuration("b")).id == 2)
  }

  @Test func anEndThatCannotBeWrittenHoldsAndIsWrittenLater() throws {
    var queue: JobQueue? = try open()
    _ = try queue?.submit(Self.configuration("a"))
    _ = try queue?.submit(Self.configuration("b"))
    try queue?.begin(1)
    let obstacle = "\(file(1)).partial-\(getpid())"
    try FileSystem.createDirectory(obstacle)
    #expect(throws: FileError.self) { try queue?.end(1, .finished) }
    #expect(try queue?.job(1).state == .finished && queue?.next()?.id == 2)
    #expect(throws: FileError.self) { try queue?.begin(2) }
    try FileManager.default.removeItem(atPath: obstacle)
    try queue?.begin(2)
    try queue?.end(2, .finished)
    queue = nil
    #expect(states(try open()) == ["b finished", "a finished"])
  }

  @Test func aFolderHasOneQueue() throws {
    let queue = try open()
    let error = #expect(throws: FileError.self) { _ = try JobFiles(directory: folder.file(".queue"), patience: 0.2) }
    #expect(error?.code == EWOULDBLOCK)
    withExtendedLifetime(queue) {}
  }

  @Test func aClockSetBackHarmsNothing() throws {
    let time = Mutex(5000.0)
    let queue = try JobQueue(directory: folder.path, now: { time.withLock { $0 } })
    for name in ["a", "b"] { _ = try queue.submit(Self.configuration(name)) }
    try queue.begin(1)
    time.withLock { $0 = 10 }
    #expect(try queue.end(1, .finished).ended == 5000)
    try queue.begin(2)
    try queue.end(2, .finished)
    #expect(queue.list().jobs.map(\.id) == [2, 1])
  }

  // MARK: - Telling, and many threads

  @Test func everyChangeIsToldInOrder() throws {
    let told = Mutex<[String]>([])
    let queue = try open { job in told.withLock { $0.append("\(job.id) \(job.state.rawValue)") } }
    for name in ["a", "b"] { _ = try queue.submit(Self.configuration(name)) }
    _ = try queue.resume(2)  // nothing changes
    _ = try queue.pause(2)
    try queue.begin(1)
    queue.updateProgress(1, step: 1, totalSteps: 2, validation: [:])
    try queue.end(1, .stopped)
    _ = try queue.cancel(1)
    #expect(
      told.withLock { $0 } == [
        "1 waiting", "2 waiting", "2 paused", "1 running", "1 waiting", "1 cancelled",
      ])
  }

  @Test func manyThreadsMayUseIt() async throws {
    let told = Mutex<[Int: Job]>([:])
    var queue: JobQueue? = try open { job in told.withLock { $0[job.id] = job } }
    let shared = try #require(queue)
    await withTaskGroup { group in
      for thread in 0..<8 {
        group.addTask {
          for index in 0..<10 {
            guard let job = try? shared.submit(Self.configuration("run-\(thread)-\(index)")) else { continue }
            _ = shared.list()
            _ = try? shared.move(job.id, to: index)
            if index.isMultiple(of: 2) { _ = try? shared.cancel(job.id) }
          }
        }
      }
      group.addTask {
        for _ in 0..<20 {
          guard let job = shared.next(), (try? shared.begin(job.id)) != nil else { continue }
          for step in 0..<50 { shared.updateProgress(job.id, step: step, totalSteps: 50, validation: [:]) }
          _ = try? shared.end(job.id, .stopped)
        }
      }
    }
    let jobs = shared.list().jobs
    #expect(jobs.map(\.id).sorted() == Array(1...80))
    #expect(jobs.count { $0.state == .cancelled } == 40)
    #expect(jobs.allSatisfy { $0.state != .running })
    #expect(told.withLock { $0.values.sorted { $0.id < $1.id } } == jobs.sorted { $0.id < $1.id })
    queue = nil
    withExtendedLifetime(shared) {}
  }
}
