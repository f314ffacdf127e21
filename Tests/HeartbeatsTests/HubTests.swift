import Foundation
import NIOPosix
import Synchronization
import Testing

@testable import Heartbeats

/// A hub and ranks, over TCP on this machine.
@Suite struct HubTests {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  /// That hears ranks on this machine.
  private func makeHub(timeout: Duration = .seconds(60), ranks: Int? = 2) throws -> HeartbeatHub {
    let hub = HeartbeatHub(on: group.next(), timeout: timeout)
    try hub.begin(ranks: ranks, at: ["127.0.0.1"])
    return hub
  }

  private func address(of hub: HeartbeatHub) throws -> HubAddress { try #require(hub.address) }

  private func heart(_ rank: Int, _ hub: HeartbeatHub, onStop: @escaping @Sendable (Int32) -> Void = { _ in }) throws
    -> Heartbeat
  {
    Heartbeat(to: try address(of: hub), on: group.next(), every: .milliseconds(20)) {
      var pulse = RankActivity(rank: rank, ranks: 2, host: "here", process: Int32(rank))
      pulse.activity = "training"
      return pulse
    } onStop: {
      onStop($0)
    }
  }

  /// Looks until it holds, for at most thirty seconds.
  private func eventually(_ holds: () -> Bool) async throws -> Bool {
    for _ in 0..<3000 {
      if holds() { return true }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  @Test func ranksAreHeardAndTheirLastWordIsKept() async throws {
    let hub = try makeHub()
    defer { hub.close() }
    let (first, second) = (try heart(0, hub), try heart(1, hub))
    #expect(try await eventually { hub.records.map(\.pulse.rank) == [0, 1] })
    #expect(try await eventually { first.hasBeenAnswered && second.hasBeenAnswered })
    #expect(hub.look() == nil)
    first.end(ExitReport(status: 1, message: "no space left"))
    #expect(
      try await eventually { hub.records[0].exitReport == ExitReport(status: 1, message: "no space left") })
    second.end(ExitReport(status: 0))
    #expect(try await eventually { hub.records.allSatisfy { $0.closed != nil } })
    #expect(hub.loss == nil)
  }

  @Test func whatStopsIsFound() async throws {
    let hub = try makeHub(timeout: .seconds(5))
    defer { hub.close() }
    let isFrozen = Atomic(false)
    let heart = try heart(0, hub)
    let frozen = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let other = Heartbeat(to: try address(of: hub), on: frozen.next(), every: .milliseconds(20)) {
      while isFrozen.load(ordering: .relaxed) { usleep(1000) }
      var pulse = RankActivity(rank: 1, ranks: 2, host: "there", process: 1)
      pulse.activity = "training"
      return pulse
    } onStop: { _ in
    }
    #expect(try await eventually { hub.records.count == 2 })
    #expect(hub.look() == nil)
    isFrozen.store(true, ordering: .relaxed)
    var found: Diagnosis?
    #expect(
      try await eventually {
        found = hub.look()
        return found?.ranks == [1]
      })
    #expect(found?.kind == .silent)
    isFrozen.store(false, ordering: .relaxed)
    #expect(try await eventually { hub.look() == nil })
    hub.timeout = .zero
    #expect(hub.look() == nil)
    other.end(ExitReport(status: 0))
    heart.end(ExitReport(status: 0))
  }

  @Test func ranksAreAskedToStop() async throws {
    let hub = try makeHub()
    defer { hub.close() }
    let asked = Atomic<Int32>(0)
    let heart = try heart(0, hub) { asked.store($0, ordering: .relaxed) }
    #expect(try await eventually { heart.hasBeenAnswered })
    #expect(asked.load(ordering: .relaxed) == 0)
    hub.askToStop(signal: 15)
    #expect(try await eventually { asked.load(ordering: .relaxed) == 15 })
    heart.end(ExitReport(status: 75))
  }

  /// Whoever has not the token is not heard, and a rank that knocks at a wrong door tries the next.
  @Test func aWrongTokenIsTurnedAway() async throws {
    let hub = try makeHub()
    defer { hub.close() }
    var address = try address(of: hub)
    address.token = String(repeating: "0", count: address.token.count)
    let stranger = Heartbeat(to: address, on: group.next(), every: .milliseconds(20)) {
      RankActivity(rank: 7, ranks: 8, host: "elsewhere", process: 7)
    } onStop: { _ in
    }
    address.token = try #require(hub.address).token
    address.hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    #expect(HubAddress("\(address)") == address)
    let known = Heartbeat(to: address, on: group.next(), every: .milliseconds(20)) {
      RankActivity(rank: 1, ranks: 2, host: "here", process: 1)
    } onStop: { _ in
    }
    #expect(try await eventually { known.hasBeenAnswered })
    #expect(!stranger.hasBeenAnswered && hub.records.map(\.pulse.rank) == [1])
    known.end(ExitReport(status: 0))
    stranger.end(ExitReport(status: 0))
  }

  /// They may outlive their job, and would be taken for ranks of the next.
  @Test func ranksOfTheJobBeforeAreNotHeard() async throws {
    let hub = try makeHub()
    defer { hub.close() }
    let old = try heart(1, hub)
    #expect(try await eventually { hub.records.count == 1 })
    try hub.begin(ranks: 2, at: ["127.0.0.1"])
    let new = try heart(0, hub)
    #expect(try await eventually { hub.records.map(\.pulse.rank) == [0] })
    try await Task.sleep(for: .milliseconds(200))
    #expect(hub.records.map(\.pulse.rank) == [0])
    old.end(ExitReport(status: 1))
    new.end(ExitReport(status: 0))
  }

  // MARK: - Strangers

  /// They neither keep ranks out nor stay.
  @Test func idleConnectionsGiveWay() async throws {
    let hub = try makeHub()
    defer { hub.close() }
    let port = try address(of: hub).port
    let strangers = try (0..<200).map { _ in try Stranger(port: port) }
    let heart = try heart(0, hub)
    #expect(try await eventually { heart.hasBeenAnswered })
    let places = 2 + HeartbeatHub.spare
    #expect(try await eventually { strangers.count { !$0.isCutOff } <= places }, "few have a place at once")
    // Whoever says nothing, or something else, is shown out; ranks stay.
    strangers.last?.send("GET / HTTP/1.1\r\n\r\n")
    #expect(try await eventually { strangers.allSatisfy(\.isCutOff) })
    #expect(try await eventually { !hub.records.isEmpty } && hub.records.map(\.closed) == [nil])
    heart.end(ExitReport(status: 0))
  }

  /// More ranks than anybody said: they have the token.
  @Test func allWhoHaveTheTokenAreHeard() async throws {
    let hub = try makeHub(ranks: 1)
    defer { hub.close() }
    let hearts = try (0..<40).map { try heart($0, hub) }
    #expect(try await eventually { hub.records.count == 40 })
    for heart in hearts { heart.end(ExitReport(status: 0)) }
  }

  @Test func noOtherAddressIsListenedAt() throws {
    let hub = HeartbeatHub(on: group.next(), timeout: .seconds(60))
    defer { hub.close() }
    #expect(hub.address == nil)
    try hub.begin(ranks: 2, at: ["127.0.0.1", "127.0.0.3"])
    let address = try address(of: hub)
    #expect(address.hosts == ["127.0.0.1", "127.0.0.3"])
    #expect(throws: Stranger.Refused.self) { try Stranger(port: address.port, host: "127.0.0.2") }
    _ = try (Stranger(port: address.port), Stranger(port: address.port, host: "127.0.0.3"))
    // Without any, or with one that is not this machine's, all.
    for unknown in [[], ["192.0.2.77"]] {
      try hub.begin(ranks: 2, at: unknown)
      _ = try Stranger(port: try #require(hub.address).port, host: "127.0.0.2")
    }
  }

  @Test func tokensAreComparedWhole() throws {
    let address = HubAddress(hosts: ["h"], port: 1)
    #expect(address.token.wholeMatch(of: /[0-9a-f]{32}/) != nil && address.token != HubAddress.makeToken())
    #expect(address.admits(address.token))
    for other in ["", address.token + "0", String(address.token.dropLast()), HubAddress.makeToken()] {
      #expect(!address.admits(other), "\(other)")
    }
  }

  /// Programs that are started get none of its sockets.
  @Test func socketsAreClosedInOtherPrograms() async throws {
    let hub = try makeHub()
    defer { hub.close() }
    let heart = try heart(0, hub)
    #expect(try await eventually { heart.hasBeenAnswered })
    let port = try address(of: hub).port
    // That which listens, and both ends of a connection.
    let sockets = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { CInt($0) }
      .filter { self.port($0, getsockname) == port || self.port($0, getpeername) == port }
    #expect(sockets.count == 3)
    for socket in sockets { #expect(fcntl(socket, F_GETFD) & FD_CLOEXEC != 0, "\(socket)") }
    heart.end(ExitReport(status: 0))
  }

  /// The port of an end of a connection over IPv4; nil of anything else.
  private func port(
    _ descriptor: CInt, _ end: (CInt, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
  ) -> Int? {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let found = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { end(descriptor, $0, &length) }
    }
    guard found == 0, address.sin_family == sa_family_t(AF_INET) else { return nil }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  @Test(arguments: ["", "a/b", "t/0/h", "t/70000/h", "t/80", "t/x/h"])
  func whatIsNoAddressIsNone(text: String) { #expect(HubAddress(text) == nil) }
}

/// Somebody who connects and has nothing to say.
private final class Stranger {
  struct Refused: Error {}
  private let descriptor: Int32

  init(port: Int, host: String = "127.0.0.1") throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result != 0 { throw Refused() }
  }

  deinit { close(descriptor) }

  func send(_ text: String) { _ = Glibc.send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

  /// Whether the other side has closed the connection.
  var isCutOff: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
    return count == 0 || (count < 0 && errno == ECONNRESET)
  }
}
