import Foundation
import TestSupport
import Testing

@testable import ControlServer

/// `malformed_requests.py`, which says how it can be let loose on a real daemon. A few hundred requests unless
/// LOCKSTEP_MALFORMED says how many.
@Suite struct MalformedRequestTests {
  @Test func theServerLivesOn() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let count = ProcessInfo.processInfo.environment["LOCKSTEP_MALFORMED"] ?? "400"
    let script = "\(Programs.repository)/Tests/ControlServerTests/malformed_requests.py"
    for place in [
      ["--socket", server.server.socketPath],
      ["--address", "127.0.0.1:\(server.port)", "--token-file", server.server.tokenPath],
    ] {
      let outcome = try Programs.run(
        "python3", [script, "--count", count] + place, in: server.folder.path, seconds: 1200)
      #expect(outcome.status == 0, "\(outcome.output)\(outcome.error)")
    }
    #expect(server.reports.lines.withLock { $0 } == [])
    // None of it was taken for something that changes a run.
    #expect(server.backend.state.withLock { $0.told.isEmpty && $0.jobs.isEmpty })
  }
}
