import Foundation
import TestSupport
import Testing

/// A program that is met under way: waited for until it has said something, sent signals, and waited for to its end.
final class UnderWay {
  private let process = Process()
  private let folder: TemporaryFolder
  private let output: String
  private let error: String

  /// `command` is found by its path or on PATH. HUP and INT are what they are for a program that a person starts, however
  /// the tests were started; `ignored` are signals that it is to begin with ignored, as by nohup(1).
  init(_ command: [String], in folder: TemporaryFolder, ignored: String? = nil) throws {
    self.folder = folder
    let id = UUID().uuidString
    (output, error) = (folder.file("output-\(id)"), folder.file("error-\(id)"))
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["--default-signal"] + (ignored.map { ["--ignore-signal=\($0)"] } ?? []) + command
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    process.environment = ProcessInfo.processInfo.environment.merging(Programs.mpirunEnvironment) { $1 }
    process.standardInput = FileHandle.nullDevice
    for path in [output, error] { FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: error))
    try Programs.withoutBlockedSignals { try process.run() }
  }

  /// `lockstep train` of the small run.
  static func training(_ settings: [String], in folder: TemporaryFolder, ignored: String? = nil) throws -> UnderWay {
    try UnderWay(
      ["\(Programs.folder)/lockstep", "train", folder.writeSmallConfiguration()] + settings, in: folder,
      ignored: ignored)
  }

  var isRunning: Bool { process.isRunning }

  private func read(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
  }

  private var said: String { ((try? read(output)) ?? "") + ((try? read(error)) ?? "") }

  /// Throws if it ends before, or within three minutes does not come.
  func wait(_ what: String, until isSo: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(180)
    while try !isSo() {
      try #require(process.isRunning && ContinuousClock.now < deadline, "waited in vain for \(what): \(said)")
      usleep(20_000)
    }
  }

  /// The same for something that comes.
  func value<Value>(_ what: String, _ find: () throws -> Value?) throws -> Value {
    var found: Value?
    try wait(what) {
      found = try find()
      return found != nil
    }
    return try #require(found)
  }

  func waitForOutput(_ text: String) throws { try wait(text) { try read(output).contains(text) } }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// How it ends. What does not within ten seconds, as what is asked to stop has to, is killed, with status -1.
  func end(seconds: Double = 10) throws -> Outcome {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while process.isRunning, .now < deadline { usleep(20_000) }
    let inTime = !process.isRunning
    endByForce()
    return Outcome(
      status: inTime ? process.terminationStatus : -1, output: try read(output), error: try read(error))
  }

  func endByForce() {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }
}
