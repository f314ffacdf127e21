import Foundation

/// How a program ended, and what it said.
public struct Outcome: Sendable {
  /// Exit status, or the number of the signal that ended it.
  public let status: Int32
  public let output: String
  public let error: String

  public init(status: Int32, output: String, error: String) {
    self.status = status
    self.output = output
    self.error = error
  }

  public var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// Real programs, started as a person would.
public enum Programs {
  /// Where launch/test, or `swift build -c release`, has put lockstep and lockstepd.
  public static var folder: String {
    if let given = ProcessInfo.processInfo.environment["LOCKSTEP_BINARIES"] { return given }
    return repository + "/.build/release"
  }

  /// The top of the repository.
  public static var repository: String {
    var url = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { url.deleteLastPathComponent() }
    return url.path
  }

  /// Runs a program by its name on PATH or its path; ended by force, with status -1, after `seconds`. A `signal` is sent
  /// when the program has written a text. `input` is what it reads.
  public static func run(
    _ program: String, _ arguments: [String], in directory: String, seconds: Double = 120,
    environment: [String: String] = [:], input: String? = nil, signal: Int32? = nil, whenOutputHas text: String = ""
  ) throws -> Outcome {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let reading = try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.write("input", $0.utf8))) }
    defer { try? reading?.close() }
    process.standardInput = reading ?? FileHandle.nullDevice
    // Files, not pipes: a full pipe would stop a program that nobody reads in time.
    try folder.write("output", "")
    try folder.write("error", "")
    let handles = try ["output", "error"].map { try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file($0))) }
    defer { for handle in handles { try? handle.close() } }
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    let ended = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in ended.signal() }
    try withoutBlockedSignals { try process.run() }
    func read(_ name: String) throws -> String {
      String(decoding: try Data(contentsOf: URL(fileURLWithPath: folder.file(name))), as: UTF8.self)
    }
    let deadline = DispatchTime.now() + seconds
    if let signal {
      while process.isRunning, .now() < deadline, try !read("output").contains(text) { usleep(20_000) }
      if process.isRunning { kill(process.processIdentifier, signal) }
    }
    var inTime = true
    if ended.wait(timeout: deadline) == .timedOut {
      inTime = false
      process.terminate()
      if ended.wait(timeout: .now() + 5) == .timedOut { kill(process.processIdentifier, SIGKILL) }
    }
    return Outcome(
      status: inTime ? process.terminationStatus : -1, output: try read("output"), error: try read("error"))
  }

  /// Threads of a test run block signals, and a program would begin with what its parent blocks.
  public static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try body()
  }

  /// `lockstep …` in a folder.
  public static func lockstep(
    _ arguments: String..., in directory: String, seconds: Double = 120, input: String? = nil
  ) throws -> Outcome {
    try run(
      "\(folder)/lockstep", arguments, in: directory, seconds: seconds, environment: ["OMP_NUM_THREADS": "1"],
      input: input)
  }

  /// `mpirun -n ranks lockstepd …` in a folder, one thread a rank.
  public static func lockstepd(
    ranks: Int, _ arguments: [String], in directory: String, seconds: Double = 180, signal: Int32? = nil,
    whenOutputHas text: String = ""
  ) throws -> Outcome {
    try mpirun(
      ["-n", "\(ranks)", "\(folder)/lockstepd"] + arguments, in: directory, seconds: seconds, signal: signal,
      whenOutputHas: text)
  }

  /// With more ranks than cores.
  public static let mpirunOptions = ["--oversubscribe", "--bind-to", "none"]

  /// As any user, one thread a rank.
  public static let mpirunEnvironment = [
    "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    // Ranks that share cores must not burn them waiting.
    "OMPI_MCA_mpi_yield_when_idle": "1",
  ]

  /// `mpirun …`, as any user and with more ranks than cores.
  public static func mpirun(
    _ arguments: [String], in directory: String, seconds: Double = 180, signal: Int32? = nil,
    whenOutputHas text: String = ""
  ) throws -> Outcome {
    try run(
      "mpirun", mpirunOptions + arguments, in: directory, seconds: seconds, environment: mpirunEnvironment,
      signal: signal, whenOutputHas: text)
  }
}
