import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// A run killed with SIGKILL at random instants and gone on with each time ends with the bits of one never killed, and
/// no checkpoint that can be seen is ever damaged.
///
/// More kills, and other instants: `LOCKSTEP_KILLS=100 LOCKSTEP_SEED=7 launch/test --filter KillTests`.
@Suite struct KillTests {
  private let kills = Self.setting("LOCKSTEP_KILLS") ?? 6
  private let seed = Self.setting("LOCKSTEP_SEED") ?? 1
  private let settings = set(
    "training.epochs=30", "model.hiddenSizes=[48, 48]", "model.dropout=0.2", "generation.temperatures=[]",
    "output.keep=3")

  private static func setting(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }

  private enum Victim: CaseIterable { case oneRank, allRanks, mpirun }

  @Test func killedRunsEndWithTheSameBits() throws {
    let folder = try TemporaryFolder()
    let configuration = try folder.writeSmallConfiguration()
    let whole = try Programs.lockstepd(
      ranks: 2, ["run", configuration] + settings + set("name=whole"), in: folder.path)
    #expect(whole.status == 0, "\(whole.error)")
    let started = ContinuousClock.now
    _ = try Programs.lockstepd(
      ranks: 2, ["run", configuration] + settings + set("name=timed"), in: folder.path)
    let wholeSeconds = (ContinuousClock.now - started) / .seconds(1)

    var random = SeededRandom(seed: seed)
    let name = "killed-\(UUID().uuidString)"
    let command = ["run", configuration] + settings + set("name=\(name)")
    let store = CheckpointStore(folder.file("checkpoints/\(name)"))
    for _ in 0..<kills {
      let victim = Victim.allCases.randomElement(using: &random) ?? .oneRank
      let delay = Double.random(in: 0.3...max(0.4, wholeSeconds * 0.6), using: &random)
      let job = try Job(command, in: folder)
      usleep(UInt32(delay * 1_000_000))
      try job.kill(victim, named: name)
      try job.waitUntilEnded(named: name)
      for step in try store.steps() {
        #expect(throws: Never.self, "after \(victim) was killed") { try CheckpointFile(store.path(step: step)) }
      }
    }
    let last = try Programs.lockstepd(ranks: 2, command, in: folder.path)
    #expect(last.status == 0, "\(last.error)")
    #expect(try folder.numbers(of: name) == folder.numbers(of: "whole"))
  }

  /// An mpirun under way.
  private struct Job {
    let process = Process()

    init(_ command: [String], in folder: TemporaryFolder) throws {
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments =
        ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2", "\(Programs.folder)/lockstepd"] + command
      process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
      process.environment = ProcessInfo.processInfo.environment.merging([
        "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",
      ]) { $1 }
      for keyPath in [\Process.standardOutput, \Process.standardError] {
        process[keyPath: keyPath] = FileHandle.nullDevice
      }
      process.standardInput = FileHandle.nullDevice
      try process.run()
    }

    func kill(_ victim: Victim, named name: String) throws {
      let ranks = try Self.ranks(named: name)
      switch victim {
      case .oneRank: for rank in ranks.prefix(1) { Glibc.kill(rank, SIGKILL) }
      case .allRanks: for rank in ranks { Glibc.kill(rank, SIGKILL) }
      case .mpirun: Glibc.kill(process.processIdentifier, SIGKILL)
      }
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
}
