import NIOCore
import NIOPosix
import Sockets
import Synchronization

/// Hears the pulses of a job's ranks over TCP and judges by them: on the first rank, and in a launcher.
///
/// Whoever reaches its port can connect; so a caller has to show the token soon, and those that have not yet are few and
/// give way to newer ones. Ranks therefore get in, and the descriptors of the process are not used up, however many others
/// knock.
public final class HeartbeatHub: Sendable {
  /// How long a caller has to show the token.
  static let patience = TimeAmount.seconds(5)
  /// So many more callers than ranks may be there at a time.
  static let spare = 16
  /// Number of ranks to allow for if it is unknown.
  private static let unknownRanks = 512

  private let loop: any EventLoop
  private let state: Mutex<State>

  private struct State {
    var servers: [any Channel] = []
    var address: HubAddress?
    /// Those connected, by the order in which they came.
    var callers: [Int: Caller] = [:]
    var arrivals = 0
    /// Of the present job.
    var ranks = 0
    var records: [Int: RankRecord] = [:]
    var timeout: Duration
    var stop: Int32?
    var lastLook: ContinuousClock.Instant

    /// The oldest connection without the token, if there are too many of them.
    var oldestBeyondRoom: (any Channel)? {
      let strangers = callers.filter { !$0.value.hasToken }
      let room = max(spare, ranks + spare - (callers.count - strangers.count))
      return strangers.count > room ? strangers.min { $0.key < $1.key }?.value.channel : nil
    }

    /// Records the rank of a connection. Returns the earlier connection of the same process, which is then closed.
    mutating func know(_ number: Int, by pulse: RankActivity) -> (any Channel)? {
      ranks = max(ranks, pulse.ranks)
      guard let caller = callers[number] else { return nil }
      callers[number]?.rank = pulse.rank
      callers[number]?.process = pulse.process
      guard caller.rank == nil else { return nil }
      let before = callers.first { key, other in
        key != number && (other.rank, other.process) == (pulse.rank, pulse.process)
      }
      return before.flatMap { callers.removeValue(forKey: $0.key)?.channel }
    }
  }

  private struct Caller {
    let channel: any Channel
    var hasToken = false
    var rank: Int?
    var process: Int32 = 0
  }

  /// Listens nowhere yet.
  public init(on loop: any EventLoop, timeout: Duration) {
    self.loop = loop
    state = Mutex(State(timeout: timeout, lastLook: .now))
  }

  /// Begins to hear the ranks of a job: `ranks` of them, if that is known. Listens at addresses of this machine, or where none
  /// are given on every interface, at a port that is free. The job before is forgotten, and its ranks, which may still be
  /// about, are not heard any more. Not for the event loop. Throws what listening throws.
  public func begin(ranks: Int?, at addresses: [String]) throws {
    close()
    let (servers, hosts) = try listen(at: addresses)
    let address = HubAddress(hosts: hosts, port: servers[0].localAddress?.port ?? 0)
    state.withLock { state in
      state.servers = servers
      state.address = address
      state.ranks = ranks ?? Self.unknownRanks
      state.records = [:]
      state.stop = nil
    }
  }

  /// Listens no longer. Not for the event loop.
  public func close() {
    let (servers, callers) = state.withLock { state in
      defer { (state.servers, state.address, state.callers) = ([], nil, [:]) }
      return (state.servers, state.callers.values)
    }
    for server in servers { try? server.close().wait() }
    for caller in callers { caller.channel.close(promise: nil) }
  }

  /// Where ranks of the present job find it; nil where there is none.
  public var address: HubAddress? { state.withLock { $0.address } }

  /// For how long a rank may stand still unless the ranks say otherwise; zero: for ever.
  public var timeout: Duration {
    get { state.withLock { $0.timeout } }
    set { state.withLock { $0.timeout = newValue } }
  }

  /// What is known of every rank that has been heard from, by rank.
  public var records: [RankRecord] {
    state.withLock { $0.records.values.sorted { $0.pulse.rank < $1.pulse.rank } }
  }

  /// Time since the last report of any rank without an exit report; nil before the first report.
  public var silence: Duration? {
    records.filter { $0.exitReport == nil }.map(\.heard).max().map { .now - $0 }
  }

  /// Asks all ranks to save and stop, as that signal would.
  public func askToStop(signal: Int32) { state.withLock { $0.stop = signal } }

  /// Takes a pulse that came over no connection, that of this process.
  public func hear(_ pulse: RankActivity) {
    let now = ContinuousClock.now
    state.withLock { state in
      var record = state.records[pulse.rank] ?? RankRecord(pulse, at: now)
      record.hear(pulse, at: now)
      state.records[pulse.rank] = record
    }
  }

  /// What is wrong now; nil if nothing is, or nobody wants to know.
  public func look() -> Diagnosis? {
    state.withLock { state in
      let now = ContinuousClock.now
      defer { state.lastLook = now }
      // This process may have been stopped itself.
      if now - state.lastLook > Heartbeat.gap {
        for rank in state.records.keys { state.records[rank]?.excuse(until: now) }
      }
      let timeout = state.records[0]?.pulse.stallTimeout.map { .seconds($0) } ?? state.timeout
      guard timeout > .zero else { return nil }
      return FailureDetector(Array(state.records.values), at: now, timeout: timeout).diagnosis
    }
  }

  /// After the end of the job: the first rank that ended without an exit report.
  public var loss: Diagnosis? { FailureDetector(records, at: .now, timeout: timeout).loss }

  // MARK: - Listening

  private func listen(at addresses: [String]) throws -> ([any Channel], hosts: [String]) {
    // One may be gone, or belong to an interface that is down.
    if !addresses.isEmpty, let servers = try? bind(addresses) { return (servers, addresses) }
    let server = try Result { try bind("0.0.0.0", port: 0) }
      .flatMapError { _ in Result { try bind("::", port: 0) } }.get()
    return ([server], try HubAddress.everyInterface())
  }

  /// One port at all addresses: one that is free at the first need not be so at the others.
  private func bind(_ addresses: [String], attempts: Int = 8) throws -> [any Channel] {
    var servers: [any Channel] = []
    do {
      for address in addresses { servers.append(try bind(address, port: servers.first?.localAddress?.port ?? 0)) }
      return servers
    } catch {
      for server in servers { try? server.close().wait() }
      if attempts == 1 { throw error }
      return try bind(addresses, attempts: attempts - 1)
    }
  }

  private func bind(_ host: String, port: Int) throws -> any Channel {
    try ServerBootstrap(group: loop)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try channel.closeOnExec() } }
      .childChannelInitializer { [weak self] channel in
        channel.eventLoop.makeCompletedFuture { try self?.welcome(channel) }
      }
      .bind(host: host, port: port).wait()
  }

  // MARK: - One connection, on the event loop

  private func welcome(_ channel: any Channel) throws {
    try channel.closeOnExec()
    let (number, crowded) = state.withLock { state in
      state.arrivals += 1
      state.callers[state.arrivals] = Caller(channel: channel)
      return (state.arrivals, state.oldestBeyondRoom)
    }
    crowded?.close(promise: nil)
    let deadline = channel.eventLoop.scheduleTask(in: Self.patience) { [weak self] in
      if self?.hasShownToken(number) != true { channel.close(promise: nil) }
    }
    try LineReader<RankMessage> { [weak self] message, context in
      guard let self, admits(message, from: number) else {
        context.close(promise: nil)
        return
      }
      hear(message, from: number)
      guard let answer = try? Line.encode(HubMessage(stop: state.withLock { $0.stop }), context.channel.allocator)
      else { return }
      context.channel.writeAndFlush(answer, promise: nil)
    } onClose: { [weak self] in
      deadline.cancel()
      self?.leave(number)
    }.install(in: channel)
  }

  private func hasShownToken(_ number: Int) -> Bool { state.withLock { $0.callers[number]?.hasToken ?? false } }

  private func admits(_ message: RankMessage, from number: Int) -> Bool {
    state.withLock { state in
      guard let caller = state.callers[number] else { return false }  // of the job before
      if caller.hasToken { return true }
      guard let token = message.token, state.address?.admits(token) == true else { return false }
      state.callers[number]?.hasToken = true
      return true
    }
  }

  private func hear(_ message: RankMessage, from number: Int) {
    if let pulse = message.pulse {
      let stale = state.withLock { $0.know(number, by: pulse) }
      stale?.close(promise: nil)
      hear(pulse)
    }
    guard let exitReport = message.exitReport else { return }
    state.withLock { state in
      guard let rank = state.callers[number]?.rank else { return }
      state.records[rank]?.part(exitReport, at: .now)
    }
  }

  private func leave(_ number: Int) {
    state.withLock { state in
      guard let caller = state.callers.removeValue(forKey: number), let rank = caller.rank else { return }
      // It may have come back over another connection.
      guard state.records[rank]?.pulse.process == caller.process, state.records[rank]?.closed == nil else { return }
      state.records[rank]?.closed = .now
    }
  }
}
