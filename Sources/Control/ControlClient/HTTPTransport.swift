import ControlAPI
import NIOCore
import NIOHTTP1
import NIOPosix

/// HTTP/1.1 over a Unix socket or TCP. Each request has a connection of its own, which ends with it.
struct HTTPTransport: Sendable {
  enum Target: Sendable {
    case socket(path: String)
    case tcp(TCPAddress)
  }

  struct Request: Sendable {
    var method: HTTPMethod
    /// With the query.
    var path: String
    var headers: HTTPHeaders
    var content: ByteBuffer?
  }

  /// What goes wrong, other than that the task is cancelled.
  enum Failure: Error {
    /// Nobody took the connection in time.
    case noConnection
    /// The answer did not begin in time, or no more of it came.
    case silence
    /// The connection ended in the middle of the answer.
    case ended
    /// What the system says, or who knows names; the code is 0 where there is none.
    case system(code: CInt, reason: String)
    case other(any Error)
  }

  private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  let target: Target
  /// The longest time without a byte of an answer.
  let silence: Duration?

  /// The longest time that connecting takes.
  private static let connectLimit = Duration.seconds(10)

  /// Sends a request and gives `body` the answer, which must begin within `patience`. Throws `Failure`, and what `body`
  /// throws. The connection is closed then, whatever came of it.
  func send<Result: Sendable>(
    _ request: Request, patience: Duration, _ body: (inout HTTPAnswer) async throws -> Result
  ) async throws -> Result {
    try await connect(patience).executeThenClose { inbound, outbound in
      // Where this fails, reading says why; or there is an answer all the same.
      try? await outbound.write(contentsOf: request.parts)
      var answer = try await HTTPAnswer(inbound)
      return try await body(&answer)
    }
  }

  /// A connection that ends by itself where an answer does not come in time.
  private func connect(_ patience: Duration) async throws -> Connection {
    let deadline = NIODeadline.now() + TimeAmount(patience)
    let silence = silence.map { TimeAmount($0) }
    let limit = min(patience, Self.connectLimit)
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(TimeAmount(limit))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHTTPClientHandlers()
          if let silence { try pipeline.addHandler(IdleStateHandler(readTimeout: silence)) }
          try pipeline.addHandler(AnswerTimer(deadline: deadline))
        }
      }
    let connection = connect(bootstrap).flatMapThrowing { try Connection(wrappingChannelSynchronously: $0) }
    // Connecting cannot be given up, only waiting for it.
    let wait = loop.makePromise(of: Connection.self)
    connection.cascade(to: wait)
    do {
      return try await withTaskCancellationHandler {
        try await wait.futureResult.get()
      } onCancel: {
        wait.fail(CancellationError())
      }
    } catch is CancellationError {
      // It may come yet.
      connection.whenSuccess { late in Task { try? await late.executeThenClose { _, _ in } } }
      throw CancellationError()
    } catch ChannelError.connectTimeout where limit < Self.connectLimit {
      throw Failure.silence
    } catch {
      throw Failure(error)
    }
  }

  private func connect(_ bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
    switch target {
    case .socket(let path): return bootstrap.connect(unixDomainSocketPath: path)
    case .tcp(let address):
      // What is an address needs no look-up, whose errors say less.
      if let numbers = try? SocketAddress(ipAddress: address.host, port: address.port) {
        return bootstrap.connect(to: numbers)
      }
      return bootstrap.connect(host: address.host, port: address.port)
    }
  }
}

extension HTTPTransport.Request {
  fileprivate var parts: [HTTPClientRequestPart] {
    var head = HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)
    if method != .GET { head.headers.add(name: "Content-Length", value: "\(content?.readableBytes ?? 0)") }
    guard let content else { return [.head(head), .end(nil)] }
    return [.head(head), .body(.byteBuffer(content)), .end(nil)]
  }
}

extension HTTPTransport.Failure {
  fileprivate init(_ error: any Error) {
    switch error {
    case let failure as Self: self = failure
    case ChannelError.connectTimeout: self = .noConnection
    case HTTPParserError.invalidEOFState: self = .ended
    case let error as IOError: self = .system(code: error.errnoCode, reason: "\(error)")
    case let error as NIOConnectionError:
      let code = error.connectionErrors.lazy.compactMap { ($0.error as? IOError)?.errnoCode }.first
      let reason = error.dnsAError == nil ? "cannot connect" : "there is no host of that name"
      self = .system(code: code ?? 0, reason: reason)
    default: self = .other(error)
    }
  }
}

/// An answer as it comes. What is not asked for stays in the socket, and so keeps the server from sending more.
struct HTTPAnswer {
  let status: UInt
  /// Of the body, where the server says it in advance.
  private let length: Int?
  private var parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
  private var isOver = false

  /// Waits for the head.
  init(_ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>) async throws {
    var parts = inbound.makeAsyncIterator()
    guard case .head(let head) = try await Self.part(&parts) else {
      preconditionFailure("an answer begins with its head")
    }
    status = head.status.code
    length = head.headers.first(name: "Content-Length").flatMap { Int($0) }
    self.parts = parts
  }

  /// The next piece of the body; nil at its end.
  mutating func next() async throws -> ByteBuffer? {
    if isOver { return nil }
    if case .body(let piece) = try await Self.part(&parts) { return piece }
    isOver = true
    return nil
  }

  /// The rest of the body.
  mutating func text(upTo limit: Int) async throws -> String {
    let tooLong = HTTPTransport.Failure.other(NIOTooManyBytesError(maxBytes: limit))
    if let length, length > limit { throw tooLong }
    var whole = ByteBuffer()
    while var piece = try await next() {
      if whole.readableBytes + piece.readableBytes > limit { throw tooLong }
      whole.writeBuffer(&piece)
    }
    return String(buffer: whole)
  }

  private static func part(
    _ parts: inout NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
  ) async throws -> HTTPClientResponsePart {
    do {
      if let part = try await parts.next() { return part }
    } catch let error where !(error is CancellationError) {
      throw HTTPTransport.Failure(error)
    }
    try Task.checkCancellation()
    throw HTTPTransport.Failure.ended
  }
}

/// Ends a connection on which an answer does not begin in time, or no more of it comes.
final class AnswerTimer: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias InboundOut = HTTPClientResponsePart

  private let deadline: NIODeadline
  /// Nil once the answer has begun.
  private var alarm: Scheduled<Void>?

  init(deadline: NIODeadline) { self.deadline = deadline }

  func channelActive(context: ChannelHandlerContext) {
    alarm = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
      // One that is cancelled may ring yet.
      if self.alarm != nil { self.end(context) }
    }
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    stop()
    context.fireChannelRead(data)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent { end(context) } else { context.fireUserInboundEventTriggered(event) }
  }

  func handlerRemoved(context: ChannelHandlerContext) { stop() }

  private func stop() {
    alarm?.cancel()
    alarm = nil
  }

  private func end(_ context: ChannelHandlerContext) {
    context.fireErrorCaught(HTTPTransport.Failure.silence)
    context.close(promise: nil)
  }
}
