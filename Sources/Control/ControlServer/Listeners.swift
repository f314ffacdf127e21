import ControlAPI
import Dispatch
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Sockets
import Synchronization

/// The sockets that are listened at, and what comes in at them, in one stream.
///
/// Hummingbird's own server binds one address, and a Unix socket with the mode that the umask leaves; here there are
/// several, some opened later, and the Unix socket is private before anyone can see it.
final class Listeners: Sendable {
  /// A connection, and what handles it.
  struct Connection: Sendable {
    let http: HTTP1Channel
    let value: HTTP1Channel.Value
  }

  typealias Answer = @Sendable (Request, ControlContext) async throws -> Response

  let connections: AsyncStream<Connection>
  private let arrivals: AsyncStream<Connection>.Continuation
  private let loop: any EventLoop
  private let bounds: Bounds
  private let state = Mutex(State())
  /// Says nothing: what goes wrong with a connection is the client's affair.
  private let logger = Logger(label: "control") { _ in SwiftLogNoOpLogHandler() }

  private struct State {
    /// What answers requests: given before the first listener is opened, since it may itself open one.
    var answer: Answer?
    var channels: [any Channel] = []
    var isClosed = false
  }

  init(loop: any EventLoop, bounds: Bounds) {
    self.loop = loop
    self.bounds = bounds
    (connections, arrivals) = AsyncStream.makeStream()
  }

  func answer(with answer: @escaping Answer) { state.withLock { $0.answer = answer } }

  /// Takes over a Unix socket that listens.
  func listen(descriptor: CInt) -> EventLoopFuture<any Channel> {
    open(.unixSocket) { $0.withBoundSocket(descriptor) }
  }

  func listen(at address: TCPAddress) -> EventLoopFuture<any Channel> {
    open(.tcp(address)) { $0.bind(host: address.host, port: address.port) }
  }

  /// No connection comes in after this. Says whether that was done by `deadline`: not where the loop's thread is held up.
  /// Not for that thread itself.
  @discardableResult
  func close(by deadline: DispatchTime = .distantFuture) -> Bool {
    let channels = state.withLock { state in
      defer { state = State(isClosed: true) }
      return state.channels
    }
    let open = DispatchGroup()
    for channel in channels {
      open.enter()
      channel.closeFuture.whenComplete { _ in open.leave() }
      channel.close(promise: nil)
    }
    defer { arrivals.finish() }
    return open.wait(timeout: deadline) == .success
  }

  /// Until the connection ends; what was asked over it and is not answered yet is then given up.
  func handle(_ connection: Connection) async {
    await withTaskGroup { group in
      group.addTask { await connection.http.handle(value: connection.value, logger: self.logger) }
      group.addTask { try? await connection.value.channel.closeFuture.get() }
      await group.next()
      group.cancelAll()
    }
  }

  /// Fails with `CancellationError` after `close`.
  private func open(
    _ entrance: Entrance, _ bind: (ServerBootstrap) -> EventLoopFuture<any Channel>
  ) -> EventLoopFuture<any Channel> {
    guard let answer = state.withLock({ $0.answer }) else { return loop.makeFailedFuture(CancellationError()) }
    return bind(bootstrap(entrance, answer)).flatMapThrowing { channel in
      let isClosed = self.state.withLock {
        if !$0.isClosed { $0.channels.append(channel) }
        return $0.isClosed
      }
      if !isClosed { return channel }
      channel.close(promise: nil)
      throw CancellationError()
    }
  }

  private func bootstrap(_ entrance: Entrance, _ answer: @escaping Answer) -> ServerBootstrap {
    let admission = Admission(places: bounds.connections)
    let headTime = bounds.headTime
    let http = HTTP1Channel(
      responder: { [bounds, logger] request, writer, channel in
        let context = ControlContext(
          source: .init(entrance: entrance, channel: channel, admission: admission, logger: logger))
        var response = try await answer(request, context)
        // An answer to HEAD has no body, whatever is in it.
        if request.method == .head { response = response.createHeadResponse() }
        // A stream has as long as it takes, and counts its events' time itself.
        let isStream = response.body.contentLength == nil
        let cut = isStream ? nil : channel.cut(after: bounds.writeTime)
        defer { cut?.cancel() }
        try await writer.write(response: response.head, body: response.body)
        // Not at once: a connection closed before all is read that was sent takes the answer with it.
        if response.headers[.connection] == "close" {
          _ = channel.cut(after: .seconds(2))
        }
      },
      configuration: .init(
        additionalChannelHandlers: [HeadDeadline(headTime)],
        idleTimeout: bounds.idleTime,
        httpDecoderConfiguration: .init(
          maxHeaderFieldSize: bounds.headers, maxHeaderListSize: bounds.headers,
          maxHeaderFieldCount: bounds.headerFields)))
    return ServerBootstrap(group: loop)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.closeOnExec()
          try channel.pipeline.syncOperations.addHandler(admission)
        }
      }
      // A client that says no more has gone: else its going could only be seen by writing to it.
      .childChannelOption(.allowRemoteHalfClosure, value: false)
      .childChannelInitializer { [arrivals, logger] channel in
        channel.eventLoop.makeCompletedFuture { try channel.closeOnExec() }.flatMap {
          http.setup(channel: channel, logger: logger)
        }.map {
          arrivals.yield(Connection(http: http, value: $0))
        }
      }
  }
}
