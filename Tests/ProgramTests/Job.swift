import Files
import Foundation
import TestSupport
import Testing

/// An mpirun under way.
struct Job {
  enum Victim: CaseIterable { case oneRank, allRanks, mpirun }

  private let process = Process()

  init(ranks: Int, _ command: [String], in folder: TemporaryFolder) throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      ["mpirun"] + Programs.mpirunOptions + ["-n", "\(ranks)", "\(Programs.folder)/lockstepd"] + command
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    process.environment = ProcessInfo.processInfo.environment.merging(Programs.mpirunEnvironment) { $1 }
    for keyPath in [\Process.standardOutput, \Process.standardError] {
      process[keyPath: keyPath] = FileHandle.nullDevice
    }
    process.standardInput = FileHandle.nullDevice
    try process.run()
  }

  /// Until there are ranks.
  func waitUntilStarted(named name: String) throws { try wait("a rank") { try !Self.ranks(named: name).isEmpty } }

  /// Throws if the job ends, or three minutes pass, before something is so.
  func wait(_ what: String, until isSo: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(180)
    while try !isSo() {
      try #require(process.isRunning && ContinuousClock.now < deadline, "waited in vain for \(what)")
      usleep(1_000)
    }
  }

  /// Says whether there was anything to kill.
  func kill(_ victim: Victim, named name: String) throws -> Bool {
    let ranks = try Self.ranks(named: name)
    switch victim {
    case .oneRank: for rank in ranks.prefix(1) { Glibc.kill(rank, SIGKILL) }
    case .allRanks: for rank in ranks { Glibc.kill(rank, SIGKILL) }
    case .mpirun: Glibc.kill(process.processIdentifier, SIGKILL)
    }
    return !ranks.isEmpty
  }

  /// Ranks outlive their mpirun for a moment. A kill that came before there was anything to kill leaves a job that
  /// goes on: end it, so that the next has the folder.
  func waitUntilEnded(named name: String) throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while try process.isRunning || !Self.ranks(named: name).isEmpty {
      if ContinuousClock.now > deadline {
        if process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) }
        for rank in try Self.ranks(named: name) { Glibc.kill(rank, SIGKILL) }
      }
      usleep(20_000)
    }
  }

  /// Processes of lockstepd that were started with this name among their arguments.
  private static func ranks(named name: String) throws -> [pid_t] {
    try FileSystem.list("/proc").compactMap { pid_t($0) }.filter { process in
      guard let bytes = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") else { return false }
      let arguments = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      return arguments.first?.hasSuffix("/lockstepd") == true && arguments.contains("name=\(name)")
    }
  }
}
