import Foundation
import NIOCore
import NIOPosix
import Sockets
import Synchronization

/// Tells a hub about this rank at every beat, and knows when the hub was last heard from.
public final class Heartbeat: Sendable {
  /// Time between two beats where nothing shorter is needed.
  public static let interval = Duration.seconds(1)
  /// A process that misses its own beats for so long was stopped itself, and can judge no one.
  static let gap = Duration.seconds(5)

  private let hub: HubAddress
  private let loop: any EventLoop
  private let makePulse: @Sendable () -> RankActivity
  private let onStop: @Sendable (Int32) -> Void
  private let state: Mutex<State>

  private struct State {
    var channel: (any Channel)?
    var isConnecting = false
    /// Over the present channel; ever.
    var isAnswered = false
    var hasBeenAnswered = false
    /// Which of the hub's addresses is tried next.
    var attempt = 0
    var heard: ContinuousClock.Instant
    var beat: ContinuousClock.Instant
    var isEnded = false
    var beats: RepeatedTask?
  }

  /// Begins at once. `makePulse` and `onStop`, which gets the number of a signal once the hub asks to save and stop, are
  /// called on the event loop.
  public init(
    to hub: HubAddress, on loop: any EventLoop, every interval: Duration = Heartbeat.interval,
    pulse makePulse: @escaping @Sendable () -> RankActivity, onStop: @escaping @Sendable (Int32) -> Void
  ) {
    self.hub = hub
    self.loop = loop
    self.makePulse = makePulse
    self.onStop = onStop
    let now = ContinuousClock.now
    state = Mutex(State(heard: now, beat: now))
    let delay = TimeAmount(interval)
    let beats = loop.scheduleRepeatedTask(initialDelay: .zero, delay: delay) { [weak self] _ in self?.beat() }
    state.withLock { $0.beats = beats }
  }

  /// For how long nothing has been heard of the hub, while this process was awake.
  public var silence: Duration { state.withLock { .now - $0.beat > Self.gap ? .zero : .now - $0.heard } }

  /// Whether the hub has ever been heard from.
  public var hasBeenAnswered: Bool { state.withLock { $0.hasBeenAnswered } }

  /// Sends the last word and ends; waits a moment for it to leave.
  public func end(_ exitReport: ExitReport) {
    let channel = state.withLock { state -> (any Channel)? in
      state.isEnded = true
      state.beats?.cancel()
      defer { state.channel = nil }
      return state.channel
    }
    guard let channel,
      let line = try? Line.encode(RankMessage(pulse: makePulse(), exitReport: exitReport), channel.allocator)
    else { return }
    let sent = DispatchSemaphore(value: 0)
    channel.writeAndFlush(line).whenComplete { _ in
      channel.close(promise: nil)
      sent.signal()
    }
    // On the loop itself nobody may wait.
    if !loop.inEventLoop { _ = sent.wait(timeout: .now() + 1) }
  }

  // MARK: - On the event loop

  private func beat() {
    let now = ContinuousClock.now
    let (channel, stale, connects) = state.withLock { state -> ((any Channel)?, (any Channel)?, Bool) in
      var stale: (any Channel)?
      if now - state.beat > Self.gap { state.heard = now }
      state.beat = now
      // A connection over a link that was cut for a while takes long to find that out by itself.
      if now - state.heard > Self.gap, state.isAnswered {
        stale = state.channel
        state.channel = nil
        state.isAnswered = false
      }
      let connects = state.channel == nil && !state.isConnecting && !state.isEnded
      if connects { state.isConnecting = true }
      return (state.channel, stale, connects)
    }
    stale?.close(promise: nil)
    if let channel { send(RankMessage(pulse: makePulse()), over: channel) } else if connects { connect() }
  }

  private func send(_ message: RankMessage, over channel: any Channel) {
    // What cannot leave is not heaped up.
    guard channel.isWritable, let line = try? Line.encode(message, channel.allocator) else { return }
    channel.writeAndFlush(line, promise: nil)
  }

  private func connect() {
    let host = state.withLock { state in
      defer { state.attempt += 1 }
      return hub.hosts[state.attempt % hub.hosts.count]
    }
    ClientBootstrap(group: loop)
      .connectTimeout(.seconds(2))
      .channelInitializer { [weak self] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.closeOnExec()
          try LineReader<HubMessage> { [weak self] message, _ in
            self?.hear(message)
          } onClose: { [weak self] in
            self?.forget(channel)
          }.install(in: channel)
        }
      }
      .connect(host: host, port: hub.port)
      .whenComplete { [weak self] result in self?.isConnected(result) }
  }

  private func isConnected(_ result: Result<any Channel, any Error>) {
    let channel = try? result.get()
    let isWanted = state.withLock { state in
      state.isConnecting = false
      state.isAnswered = false
      if !state.isEnded { state.channel = channel }
      return !state.isEnded
    }
    guard let channel else { return }
    guard isWanted else {
      channel.close(promise: nil)
      return
    }
    send(RankMessage(token: hub.token, pulse: makePulse()), over: channel)
  }

  private func forget(_ channel: any Channel) {
    state.withLock { if $0.channel === channel { $0.channel = nil } }
  }

  private func hear(_ message: HubMessage) {
    state.withLock { state in
      state.heard = .now
      // The address that answers is the one to come back to.
      if !state.isAnswered { state.attempt -= 1 }
      state.isAnswered = true
      state.hasBeenAnswered = true
    }
    if let signal = message.stop { onStop(signal) }
  }
}
