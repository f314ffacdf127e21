import Foundation
import TestSupport
import Testing

/// A script that runs `lockstep launch` on a cluster's head, on a thread of its own.
final class LaunchedRun: @unchecked Sendable {
  private let cluster: SimulatedCluster
  private let ended = DispatchSemaphore(value: 0)
  private var result: Result<Outcome, any Error>?

  init(_ cluster: SimulatedCluster, _ script: String) {
    self.cluster = cluster
    Thread.detachNewThread { [self] in
      result = Result { try cluster.run("head", "bash", "-c", script, seconds: 300) }
      ended.signal()
    }
  }

  private struct Unexpected: Error { let what: String }

  /// Throws if it ends before, or within two minutes does not come.
  func wait(_ what: String, until isSo: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(120)
    while .now < deadline {
      if try isSo() { return }
      if ended.wait(timeout: .now() + 0.1) == .success {
        ended.signal()
        throw Unexpected(what: "the run ended before \(what): \(try outcome().error)")
      }
    }
    throw Unexpected(what: "waited in vain for \(what)")
  }

  /// Ends what a test that failed has left: the hosts go when nothing uses them any more. What fails here changes no result.
  func end() {
    _ = try? cluster.run("head", "pkill", "-KILL", "-x", "lockstep")
    _ = try? outcome()
  }

  func outcome() throws -> Outcome {
    ended.wait()
    ended.signal()
    return try #require(result).get()
  }
}
