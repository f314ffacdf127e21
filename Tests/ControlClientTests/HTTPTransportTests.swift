import ControlAPI
import Glibc
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import ControlClient

@Suite struct HTTPTransportTests {
  private let server: RawServer

  init() throws { server = try RawServer() }

  /// Status and text of an answer.
  private func ask(
    _ server: RawServer, host: String = "127.0.0.1", silence: Duration? = nil, patience: Duration = .seconds(120),
    method: HTTPMethod = .GET, content: String? = nil
  ) async throws -> String {
    let transport = HTTPTransport(target: .tcp(TCPAddress(host: host, port: server.address.port)), silence: silence)
    let request = HTTPTransport.Request(
      method: method, path: "/v1/a?b=1", headers: ["Host": "h"], content: content.map { ByteBuffer(string: $0) })
    return try await transport.send(request, patience: patience) { answer in
      let text = try await answer.text(upTo: 100)
      return "\(answer.status) \(text)"
    }
  }

  /// The case of what is thrown.
  private func failure(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> String
  ) async throws -> String {
    let failure = try #require(
      await #expect(throws: HTTPTransport.Failure.self, sourceLocation: sourceLocation) { _ = try await body() },
      sourceLocation: sourceLocation)
    return String("\(failure)".prefix { $0 != "(" })
  }

  private func requests(_ stream: AsyncStream<String>) async -> [String] {
    await stream.reduce(into: []) { $0.append($1) }
  }

  @Test func requestsAreSentAsTheyAre() async throws {
    let answer = "HTTP/1.1 204 No Content\r\n\r\n"
    let asked = server.serve(answer)
    #expect(try await ask(server) == "204 ")
    #expect(await requests(asked) == ["GET /v1/a?b=1 HTTP/1.1\r\nHost: h\r\n\r\n"])
    let told = server.serve(answer)
    #expect(try await ask(server, method: .POST) == "204 ")
    #expect(await requests(told) == ["POST /v1/a?b=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"])
    let given = server.serve(answer, until: "{\"ä\":1}")
    #expect(try await ask(server, method: .POST, content: "{\"ä\":1}") == "204 ")
    #expect(await requests(given) == ["POST /v1/a?b=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n{\"ä\":1}"])
  }

  @Test func answersAreReadHoweverTheyEnd() async throws {
    for host in ["127.0.0.1", "localhost"] {
      for (answer, read) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "200 ok"),
        ("HTTP/1.0 200 OK\r\n\r\nok", "200 ok"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 "),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "302 "),
      ] {
        let asked = server.serve(answer)
        #expect(try await ask(server, host: host) == read)
        #expect(await requests(asked).count == 1)
      }
    }
  }

  @Test func brokenAnswersAreErrors() async throws {
    for (answer, error) in [
      ("", "ended"), ("HTTP/1.1 200 OK\r\nContent-L", "ended"),
      ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "ended"),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n", "ended"), ("nonsense\r\n\r\n", "other"),
    ] {
      let asked = server.serve(answer)
      #expect(try await failure { try await ask(server) } == error, "\(answer)")
      #expect(await requests(asked).count == 1)
    }
  }

  /// And their connections are closed.
  @Test func answersThatStallAreGivenUp() async throws {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"] {
      let silent = server.serve(answer, stalls: true)
      #expect(try await failure { try await ask(server, silence: .milliseconds(200)) } == "silence")
      #expect(await requests(silent).count == 1)

      let asked = server.serve(answer, stalls: true)
      let task = Task { try await ask(server) }
      var arrivals = asked.makeAsyncIterator()
      #expect(await arrivals.next() != nil)
      task.cancel()
      await #expect(throws: CancellationError.self) { _ = try await task.value }
      #expect(await arrivals.next() == nil)
    }
    let late = server.serve("", stalls: true)
    #expect(try await failure { try await ask(server, patience: .milliseconds(200)) } == "silence")
    #expect(await requests(late).count == 1)
  }

  /// Patience is for the beginning: what has begun may take its time.
  @Test(arguments: [true, false]) func whatHasBegunMayTakeItsTime(hasBegun: Bool) throws {
    // With a clock of its own: other tests may keep the processors for seconds.
    let channel = EmbeddedChannel()
    let deadline = channel.embeddedEventLoop.now + .milliseconds(500)
    try channel.pipeline.syncOperations.addHandler(AnswerTimer(deadline: deadline))
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    if hasBegun {
      try channel.writeInbound(HTTPClientResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok)))
    }
    channel.embeddedEventLoop.advanceTime(by: .seconds(60))
    #expect(channel.isActive == hasBegun)
    _ = try? channel.finish(acceptAlreadyClosed: true)
  }

  @Test func connectingCanBeGivenUp() async throws {
    let busy = try RawServer(backlog: 0)
    let taken = busy.fill()
    defer { for descriptor in taken { close(descriptor) } }
    #expect(try await failure { try await ask(busy, patience: .milliseconds(200)) } == "silence")
    // Connecting itself would go on for ten seconds, and end otherwise.
    let task = Task { try await ask(busy) }
    task.cancel()
    await #expect(throws: CancellationError.self) { _ = try await task.value }
  }

  @Test func textsAreBounded() async throws {
    func text(upTo limit: Int, _ headers: HTTPHeaders = [:]) async throws -> String {
      let (parts, source) = NIOAsyncChannelInboundStream<HTTPClientResponsePart>.makeTestingStream()
      source.yield(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)))
      for piece in ["ab", "c"] { source.yield(.body(ByteBuffer(string: piece))) }
      source.yield(.end(nil))
      source.finish()
      var answer = try await HTTPAnswer(parts)
      return try await answer.text(upTo: limit)
    }
    #expect(try await text(upTo: 3) == "abc")
    #expect(try await failure { try await text(upTo: 2) } == "other")
    #expect(try await failure { try await text(upTo: 10, ["Content-Length": "11"]) } == "other")
  }
}
