import Foundation
import Heartbeats
import Testing

@testable import Launching

@Suite struct ChildProcessTests {
  /// Neither what a library opened without saying so, nor what listens for ranks.
  @Test func programsGetTheStandardStreamsAlone() throws {
    let watch = HubWatch(timeout: 60)
    try watch.begin(
      RankCommand(launcher: Sample.openMPI4, place: .here(.none), ranks: 2, threads: 1, command: []))
    let address = try #require(watch.environment[HubAddress.variable].flatMap(HubAddress.init))
    #expect(address.hosts == ["127.0.0.1"], "ranks of this machine are heard on it alone")
    let unmarked = dup(STDERR_FILENO)
    defer { close(unmarked) }
    let results = try CommandRunner.run([["sh", "-c", "echo /proc/$$/fd/*"]], input: [], seconds: 10)
    let names = try #require(results.first).output.split(separator: " ").map {
      $0.split(separator: "/").last?.trimmingCharacters(in: .newlines) ?? ""
    }
    // The shell holds the folder open while it looks.
    #expect(names.count <= 4 && names.prefix(3) == ["0", "1", "2"], "\(names)")
    withExtendedLifetime(watch) {}
  }
}
