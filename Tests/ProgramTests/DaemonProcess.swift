import ControlAPI
import Files
import Foundation
import TestSupport
import Testing

/// `mpirun -n 2 lockstepd …` in a folder: started, asked, killed, and started again.
///
/// Whoever starts it says `defer { daemon.endByForce() }`: no process is left behind when a test fails.
final class DaemonProcess {
  private let folder: TemporaryFolder
  private let command: [String]
  /// Where its server's socket and token are.
  private let directory: String
  /// In the environment of mpirun and of all that it starts, and of nothing else.
  private let mark = "LOCKSTEP_TEST_DAEMON=\(UUID().uuidString)"
  private var process = Process()

  init(_ command: [String], serving directory: String = "checkpoints", in folder: TemporaryFolder) {
    self.folder = folder
    self.command = command
    self.directory = folder.file(directory)
  }

  // MARK: - Its life

  /// Returns when it answers at its socket.
  func start() throws {
    process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      [mark, "mpirun"] + Programs.mpirunOptions + ["-n", "2", "\(Programs.folder)/lockstepd"] + command
    process.environment = ProcessInfo.processInfo.environment.merging(Programs.mpirunEnvironment) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try folder.write("daemon.log", "")
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file("daemon.log")))
    try Programs.withoutBlockedSignals { try process.run() }
    try wait("an answer at the socket") {
      try #require(process.isRunning, "\(log)")
      return (try? socket().get("/v1/status").status) == 200 ? true : nil
    }
  }

  /// What it has said on standard error since it was started.
  var log: String { (try? String(contentsOfFile: folder.file("daemon.log"), encoding: .utf8)) ?? "" }

  /// Kills with SIGKILL, and waits until nothing of it is left: ranks outlive their mpirun for a moment.
  func kill(_ victim: Job.Victim) throws {
    switch victim {
    case .oneRank: for rank in try ranks().prefix(1) { Glibc.kill(rank, SIGKILL) }
    case .allRanks: for rank in try ranks() { Glibc.kill(rank, SIGKILL) }
    case .mpirun: Glibc.kill(process.processIdentifier, SIGKILL)
    }
    try wait("the daemon's end after SIGKILL") { try processes().isEmpty ? true : nil }
  }

  /// Sends a signal to mpirun, and waits for the exit status.
  func end(_ signal: Int32) throws -> Int32 {
    Glibc.kill(process.processIdentifier, signal)
    return try statusAtEnd()
  }

  func statusAtEnd() throws -> Int32 {
    try wait("the daemon's end") { process.isRunning ? nil : true }
    return process.terminationStatus
  }

  func endByForce() {
    for process in (try? processes()) ?? [] { Glibc.kill(process, SIGKILL) }
    if process.isRunning { process.waitUntilExit() }
  }

  /// The ranks, in no order.
  func ranks() throws -> [pid_t] {
    try processes().filter { process in
      (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) == "lockstepd\n"
    }
  }

  private func processes() throws -> [pid_t] {
    let mark = Data(mark.utf8)
    return try FileSystem.list("/proc").compactMap { pid_t($0) }.filter { process in
      FileManager.default.contents(atPath: "/proc/\(process)/environ")?.range(of: mark) != nil
    }
  }

  /// Expects that every rank uses less than 2 % of a core over three seconds. The end of what was done before may reach
  /// into the first time that is looked.
  func expectIdle(_ when: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let ranks = try ranks()
    try #require(ranks.count == 2)
    var load = 1.0
    for _ in 0..<3 where load >= 0.02 {
      let before = try ranks.map(Self.processorSeconds)
      let begin = ContinuousClock.now
      usleep(3_000_000)
      let seconds = (ContinuousClock.now - begin) / .seconds(1)
      load = try zip(ranks, before).map { (try Self.processorSeconds($0) - $1) / seconds }.max() ?? 1
    }
    #expect(load < 0.02, "of a core, \(when)", sourceLocation: sourceLocation)
  }

  /// utime and stime of proc_pid_stat(5).
  private static func processorSeconds(_ process: pid_t) throws -> Double {
    let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
    // The name, in brackets, may hold anything.
    let fields = try #require(text.split(separator: ")").last).split(separator: " ")
    let ticks = try #require(Double(fields[11])) + #require(Double(fields[12]))
    return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  // MARK: - Asking it

  func socket() throws -> Curl {
    Curl(["--unix-socket", try ControlSocket.path(for: directory)], "http://localhost")
  }

  /// Where it says that it listens on TCP, as http://address:port.
  func origin() throws -> String {
    try wait("the address listened at") {
      log.split(whereSeparator: { " ;\n".contains($0) }).first { $0.hasPrefix("http://127.0.0.1:") }.map(String.init)
    }
  }

  func token() throws -> String {
    try String(contentsOfFile: ControlSocket.tokenPath(for: directory), encoding: .utf8)
      .trimmingCharacters(in: .newlines)
  }

  /// Waits until the run of a name has made so many steps.
  @discardableResult
  func waitForStep(_ step: Int, of name: String) throws -> Status {
    let socket = try socket()
    return try wait("step \(step) of \(name)") {
      let status = try socket.get("/v1/status").value(Status.self)
      return status.run?.name == name && status.run.map { $0.step >= step } == true ? status : nil
    }
  }

  /// `lockstep job …`, which has to succeed.
  @discardableResult
  func job(_ arguments: String...) throws -> String {
    let outcome = try Programs.run("\(Programs.folder)/lockstep", ["job"] + arguments, in: folder.path, seconds: 60)
    try #require(outcome.status == 0, "job \(arguments): \(outcome.error)\n\(log)")
    return outcome.output
  }

  @discardableResult
  func submit(_ configuration: String, _ settings: [String]) throws -> Int {
    let arguments = ["job", "submit", configuration, "--format", "json"] + settings.flatMap { ["--set", $0] }
    let outcome = try Programs.run("\(Programs.folder)/lockstep", arguments, in: folder.path, seconds: 60)
    try #require(outcome.status == 0, "\(outcome.error)\n\(log)")
    return try JSONDecoder().decode(ControlAPI.Job.self, from: Data(outcome.output.utf8)).id
  }

  func jobs() throws -> [ControlAPI.Job] {
    try JSONDecoder().decode(JobList.self, from: Data(job("list", "--format", "json").utf8)).jobs
  }

  /// Waits until a job is in a state; returns it.
  @discardableResult
  func wait(for state: ControlAPI.Job.State, of id: Int) throws -> ControlAPI.Job {
    let socket = try socket()
    return try wait("job \(id) to be \(state.rawValue)") {
      let job = try socket.get("/v1/queue/\(id)").value(ControlAPI.Job.self)
      try #require(job.state == state || !job.state.isOver, "job \(id) is \(job.state): \(job.error ?? "")")
      return job.state == state ? job : nil
    }
  }

  /// Waits, not for ever, until there is a value.
  @discardableResult
  func wait<Value>(_ what: String, seconds: Double = 180, until value: () throws -> Value?) throws -> Value {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
      if let value = try value() { return value }
      usleep(100_000)
    }
    throw NotInTime(what: what, log: log)
  }
}

private struct NotInTime: Error, CustomStringConvertible {
  let what: String
  let log: String
  var description: String { "waited in vain for \(what); the daemon has said:\n\(log)" }
}

/// Requests by curl, as a person would make them.
struct Curl {
  private let options: [String]
  private let origin: String

  init(_ options: [String], _ origin: String) {
    self.options = options
    self.origin = origin
  }

  /// Over TCP.
  init(_ origin: String, token: String?) {
    self.init(token.map { ["--header", "Authorization: Bearer \($0)"] } ?? [], origin)
  }

  func with(_ headers: String...) -> Curl { Curl(options + headers.flatMap { ["--header", $0] }, origin) }

  func get(_ path: String) throws -> Reply { try send("GET", path) }

  func post(_ path: String, _ body: (some Encodable)? = String?.none) throws -> Reply {
    guard let body else { return try send("POST", path) }
    let text = String(decoding: try JSONEncoder().encode(body), as: UTF8.self)
    return try send("POST", path, ["--header", "Content-Type: application/json", "--data", text])
  }

  func send(_ method: String, _ path: String, _ more: [String] = []) throws -> Reply {
    let outcome = try Programs.run(
      "curl",
      ["--silent", "--show-error", "--include", "--no-buffer", "--max-time", "60", "--request", method] + options + more
        + [origin + path],
      in: "/", seconds: 90)
    if outcome.status != 0 { throw NoReply(description: outcome.error) }
    return try Reply(outcome.output)
  }
}

/// What curl says when there was no answer.
struct NoReply: Error, CustomStringConvertible { let description: String }

struct Reply {
  let status: Int
  /// The lines of the head.
  let head: String
  let body: String

  init(_ text: String) throws {
    let end = try #require(text.range(of: "\r\n\r\n"), "\(text)")
    head = String(text[..<end.lowerBound])
    body = String(text[end.upperBound...])
    status = try #require(Int(head.split(separator: " ")[1]), "\(head)")
  }

  /// The body of an answer that has to be 200, 201 or 202.
  func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try #require((200...202).contains(status), "\(head)\n\(body)")
    return try JSONDecoder().decode(type, from: Data(body.utf8))
  }

  /// Server-sent events: names and data.
  var events: [(name: String, data: String)] {
    body.components(separatedBy: "\n\n").compactMap { event in
      let lines = event.split(separator: "\n")
      guard let name = lines.first(where: { $0.hasPrefix("event: ") }) else { return nil }
      let data = lines.filter { $0.hasPrefix("data: ") }.map { $0.dropFirst(6) }.joined(separator: "\n")
      return (String(name.dropFirst(7)), data)
    }
  }
}
