import NIOCore
import NIOPosix
import Synchronization

/// Hears the pulses of a job's ranks over TCP and judges by them: on the first rank, and in a launcher.
///
/// All its state belongs to one event loop, except what `state` guards.
public final class HeartbeatHub: Sendable {
  private let loop: any EventLoop
  private let server: any Channel
  private let state: Mutex<State>

  private struct State {
    var address: HubAddress
    var records: [Int: RankRecord] = [:]
    var timeout: Duration
    var stop: Int32?
    var lastLook: ContinuousClock.Instant
  }

  /// Listens on every interface, at a port that is free. Throws what listening throws.
  public init(on loop: any EventLoop, timeout: Duration) throws {
    self.loop = loop
    let box = WeakHub()
    let bootstrap = ServerBootstrap(group: loop)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try box.hub?.welcome(channel) }
      }
    server = try Result { try bootstrap.bind(host: "0.0.0.0", port: 0).wait() }
      .flatMapError { _ in Result { try bootstrap.bind(host: "::", port: 0).wait() } }.get()
    let address = try HubAddress(port: server.localAddress?.port ?? 0, token: HubAddress.makeToken())
    state = Mutex(State(address: address, timeout: timeout, lastLook: .now))
    box.hub = self
  }

  /// The server's channel begins before the hub is made; connections come later.
  private final class WeakHub: @unchecked Sendable {
    private let lock = Mutex(())
    private weak var held: HeartbeatHub?
    var hub: HeartbeatHub? {
      get { lock.withLock { _ in held } }
      set { lock.withLock { _ in held = newValue } }
    }
  }

  /// Where ranks of the present job find it.
  public var address: HubAddress { state.withLock { $0.address } }

  /// For how long a rank may stand still unless the ranks say otherwise; zero: for ever.
  public var timeout: Duration {
    get { state.withLock { $0.timeout } }
    set { state.withLock { $0.timeout = newValue } }
  }

  /// What is known of every rank that has been heard from, by rank.
  public var records: [RankRecord] {
    state.withLock { $0.records.values.sorted { $0.pulse.rank < $1.pulse.rank } }
  }

  /// For how long no rank has been heard from that has not said farewell; nil before the first.
  public var silence: Duration? {
    records.filter { $0.farewell == nil }.map(\.heard).max().map { .now - $0 }
  }

  /// Asks all ranks to save and stop, as that signal would.
  public func askToStop(signal: Int32) { state.withLock { $0.stop = signal } }

  /// Takes a pulse that came over no connection, that of this process.
  public func hear(_ pulse: Pulse) {
    let now = ContinuousClock.now
    state.withLock { state in
      var record = state.records[pulse.rank] ?? RankRecord(pulse, at: now)
      record.hear(pulse, at: now)
      state.records[pulse.rank] = record
    }
  }

  /// What is wrong now; nil if nothing is, or nobody wants to know.
  public func look() -> Finding? {
    state.withLock { state in
      let now = ContinuousClock.now
      defer { state.lastLook = now }
      // This process may have been stopped itself.
      if now - state.lastLook > Heartbeat.gap {
        for rank in state.records.keys { state.records[rank]?.excuse(until: now) }
      }
      let timeout = state.records[0]?.pulse.stallTimeout.map { .seconds($0) } ?? state.timeout
      guard timeout > .zero else { return nil }
      return Judgement(Array(state.records.values), at: now, timeout: timeout).finding
    }
  }

  /// Once the job has ended: who was the first to end without a farewell.
  public var loss: Finding? { Judgement(records, at: .now, timeout: timeout).loss }

  /// Forgets all ranks: another job begins, with a token of its own, since ranks of the one before may still be about.
  public func forget() {
    state.withLock {
      $0.address.token = HubAddress.makeToken()
      $0.records = [:]
      $0.stop = nil
    }
  }

  /// Listens no longer.
  public func close() {
    try? server.close().wait()
  }

  // MARK: - One connection, on the event loop

  private final class Caller {
    var token: String?
    var rank: Int?
    var process: Int32 = 0
  }

  private func welcome(_ channel: any Channel) throws {
    let caller = Caller()
    try LineReader<RankMessage> { [weak self] message, context in
      caller.token = message.token ?? caller.token
      guard let self, caller.token == address.token else {
        context.close(promise: nil)
        return
      }
      hear(message, from: caller)
      guard let answer = try? Line.encode(HubMessage(stop: state.withLock { $0.stop }), context.channel.allocator)
      else { return }
      context.channel.writeAndFlush(answer, promise: nil)
    } onClose: { [weak self] in
      self?.leave(caller)
    }.install(in: channel)
  }

  private func hear(_ message: RankMessage, from caller: Caller) {
    if let pulse = message.pulse {
      caller.rank = pulse.rank
      caller.process = pulse.process
      hear(pulse)
    }
    guard let farewell = message.farewell, let rank = caller.rank else { return }
    state.withLock { $0.records[rank]?.part(farewell, at: .now) }
  }

  private func leave(_ caller: Caller) {
    guard let rank = caller.rank else { return }
    state.withLock { state in
      guard caller.token == state.address.token else { return }
      // It may have come back over another connection.
      guard state.records[rank]?.pulse.process == caller.process, state.records[rank]?.closed == nil else { return }
      state.records[rank]?.closed = .now
    }
  }
}
