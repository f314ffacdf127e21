import ControlAPI
import ControlClient
import Files
import Foundation
import Hummingbird
import Logging
import NIOCore
import TestSupport

/// A server that answers as a test says: on the Unix socket of a folder, or on TCP with a token.
struct FakeDaemon: Sendable {
  typealias Answer = @Sendable (Request) async throws -> Response

  let folder: TemporaryFolder

  /// Where it is asked, if it is there.
  var address: ControlAddress { .folder(folder.path) }

  init() throws { folder = try TemporaryFolder() }

  /// Runs a daemon for as long as `body` takes.
  func serve<Result: Sendable>(
    _ answer: @escaping Answer, _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    let path = try ControlSocket.path(for: folder.path)
    return try await run(.unixDomainSocket(path: path), answer) { _ in try await body() }
  }

  /// Likewise on TCP; `body` is given the address.
  func serveTCP<Result: Sendable>(
    _ answer: @escaping Answer, _ body: @escaping @Sendable (String) async throws -> Result
  ) async throws -> Result {
    try await run(.hostname("127.0.0.1", port: 0), answer) {
      try await body("http://127.0.0.1:\($0.localAddress?.port ?? 0)")
    }
  }

  private func run<Result: Sendable>(
    _ address: BindAddress, _ answer: @escaping Answer,
    _ body: @escaping @Sendable (any Channel) async throws -> Result
  ) async throws -> Result {
    let (running, started) = AsyncStream<any Channel>.makeStream()
    let application = Application(
      responder: CallbackResponder<BasicRequestContext> { request, _ in try await answer(request) },
      configuration: .init(address: address),
      onServerRunning: { started.yield($0) },
      logger: Logger(label: "fake", factory: { _ in SwiftLogNoOpLogHandler() }))
    return try await withThrowingTaskGroup { group in
      group.addTask { try await application.run() }
      defer { group.cancelAll() }
      for await channel in running { return try await body(channel) }
      throw CancellationError()
    }
  }
}

extension Response {
  static func json(_ value: some Encodable, _ status: HTTPResponse.Status = .ok) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: .init(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(value))))
  }

  static func text(_ text: String, _ status: HTTPResponse.Status = .ok) -> Response {
    Response(status: status, body: .init(byteBuffer: ByteBuffer(string: text)))
  }

  /// A stream of events in pieces; one that `breaks` is cut off rather than ended.
  static func events(_ pieces: [[UInt8]], breaks: Bool = false) -> Response {
    Response(
      status: .ok, headers: [.contentType: "text/event-stream"],
      body: ResponseBody { writer in
        for piece in pieces { try await writer.write(ByteBuffer(bytes: piece)) }
        if breaks { throw CancellationError() }
        try await writer.finish(nil)
      })
  }
}

/// An event as it is sent.
func sent(_ name: String, _ value: some Encodable) throws -> [UInt8] {
  Array("event: \(name)\ndata: \(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))\n\n".utf8)
}

extension Status {
  /// A run in the middle of its way.
  static func example(step: Int = 10, name: String = "a", ranks: Int = 2, mode: Mode = .serve) -> Status {
    var run = RunStatus(name: name)
    (run.step, run.totalSteps, run.epoch, run.epochs) = (step, 100, 1, 7)
    (run.training["perplexity"], run.learningRate, run.tokensPerSecond, run.secondsLeft) = (6.5, 0.01, 12_345, 65)
    return Status(
      mode: mode, activity: .training, version: "1.2", run: run,
      ranks: (0..<ranks).map { RankStatus(rank: $0, host: "node\($0)", stepSeconds: 0.01, waitSeconds: 0.002) },
      uptime: 100)
  }
}
