import NIOPosix
import Synchronization
import Testing

@testable import Heartbeats

/// A hub and ranks, over TCP on this machine.
@Suite struct HubTests {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  private func heart(_ rank: Int, _ hub: HeartbeatHub, onStop: @escaping @Sendable (Int32) -> Void = { _ in })
    -> Heartbeat
  {
    Heartbeat(to: hub.address, on: group.next(), every: .milliseconds(20)) {
      var pulse = Pulse(rank: rank, ranks: 2, host: "here", process: Int32(rank))
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
    let hub = try HeartbeatHub(on: group.next(), timeout: .seconds(60))
    defer { hub.close() }
    let (first, second) = (heart(0, hub), heart(1, hub))
    #expect(try await eventually { hub.records.map(\.pulse.rank) == [0, 1] })
    #expect(try await eventually { first.hasBeenAnswered && second.hasBeenAnswered })
    #expect(hub.look() == nil)
    first.end(Farewell(status: 1, message: "no space left"))
    #expect(
      try await eventually { hub.records[0].farewell == Farewell(status: 1, message: "no space left") })
    second.end(Farewell(status: 0))
    #expect(try await eventually { hub.records.allSatisfy { $0.closed != nil } })
    #expect(hub.loss == nil)
  }

  @Test func whatStopsIsFound() async throws {
    let hub = try HeartbeatHub(on: group.next(), timeout: .seconds(5))
    defer { hub.close() }
    let isFrozen = Atomic(false)
    let heart = heart(0, hub)
    let frozen = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let other = Heartbeat(to: hub.address, on: frozen.next(), every: .milliseconds(20)) {
      while isFrozen.load(ordering: .relaxed) { usleep(1000) }
      var pulse = Pulse(rank: 1, ranks: 2, host: "there", process: 1)
      pulse.activity = "training"
      return pulse
    } onStop: { _ in
    }
    #expect(try await eventually { hub.records.count == 2 })
    #expect(hub.look() == nil)
    isFrozen.store(true, ordering: .relaxed)
    var found: Finding?
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
    other.end(Farewell(status: 0))
    heart.end(Farewell(status: 0))
  }

  @Test func ranksAreAskedToStop() async throws {
    let hub = try HeartbeatHub(on: group.next(), timeout: .seconds(60))
    defer { hub.close() }
    let asked = Atomic<Int32>(0)
    let heart = heart(0, hub) { asked.store($0, ordering: .relaxed) }
    #expect(try await eventually { heart.hasBeenAnswered })
    #expect(asked.load(ordering: .relaxed) == 0)
    hub.askToStop(signal: 15)
    #expect(try await eventually { asked.load(ordering: .relaxed) == 15 })
    heart.end(Farewell(status: 75))
  }

  /// Whoever has not the token is not heard, and a rank that knocks at a wrong door tries the next.
  @Test func aWrongTokenIsTurnedAway() async throws {
    let hub = try HeartbeatHub(on: group.next(), timeout: .seconds(60))
    defer { hub.close() }
    var address = hub.address
    address.token = String(repeating: "0", count: address.token.count)
    let stranger = Heartbeat(to: address, on: group.next(), every: .milliseconds(20)) {
      Pulse(rank: 7, ranks: 8, host: "elsewhere", process: 7)
    } onStop: { _ in
    }
    address = hub.address
    address.hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    #expect(HubAddress("\(address)") == address)
    let known = Heartbeat(to: address, on: group.next(), every: .milliseconds(20)) {
      Pulse(rank: 1, ranks: 2, host: "here", process: 1)
    } onStop: { _ in
    }
    #expect(try await eventually { known.hasBeenAnswered })
    #expect(!stranger.hasBeenAnswered && hub.records.map(\.pulse.rank) == [1])
    known.end(Farewell(status: 0))
    stranger.end(Farewell(status: 0))
  }

  /// They may outlive their job, and would be taken for ranks of the next.
  @Test func ranksOfTheJobBeforeAreNotHeard() async throws {
    let hub = try HeartbeatHub(on: group.next(), timeout: .seconds(60))
    defer { hub.close() }
    let old = heart(1, hub)
    #expect(try await eventually { hub.records.count == 1 })
    hub.forget()
    let new = heart(0, hub)
    #expect(try await eventually { hub.records.map(\.pulse.rank) == [0] })
    try await Task.sleep(for: .milliseconds(200))
    #expect(hub.records.map(\.pulse.rank) == [0])
    old.end(Farewell(status: 1))
    new.end(Farewell(status: 0))
  }

  @Test(arguments: ["", "a/b", "t/0/h", "t/70000/h", "t/80", "t/x/h"])
  func whatIsNoAddressIsNone(text: String) { #expect(HubAddress(text) == nil) }
}
