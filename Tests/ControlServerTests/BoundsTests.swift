import ControlAPI
import Foundation
import Glibc
import Testing

@testable import ControlServer

/// No client can have more than its share of memory, time and connections.
@Suite struct BoundsTests {
  @Test func largeBodies() throws {
    let server = try TestServer()
    func text(_ count: Int) -> String { String(repeating: "x", count: count) }
    // Announced: refused before it is sent.
    let client = try server.connect()
    try client.send("POST /v1/queue HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    let announced = try client.answer()
    #expect(announced.status == 413 && announced.headers["connection"] == "close")
    #expect(announced.body.contains("larger than 1048576 bytes, the most that /v1/queue takes"), "\(announced.body)")
    #expect(client.isClosed())

    for (path, limit, body) in [
      ("/v1/queue", 1 << 20, (#"{"configuration":""#, #""}"#)),
      ("/v1/generate", 64 << 10, (#"{"length":1} "#, " ")),
    ] {
      let filling = limit - body.0.utf8.count - body.1.utf8.count
      let filler = path == "/v1/queue" ? text(filling) : String(repeating: " ", count: filling)
      let fits = try server.request("POST", path, body: body.0 + filler + body.1)
      #expect(fits.status < 300, "\(path): \(fits)")
      let tooLarge = try server.request("POST", path, body: body.0 + filler + " " + body.1)
      #expect(tooLarge.status == 413)
    }
    // Nor is one taken where none is wanted.
    #expect(try server.request("POST", "/v1/pause", body: text(65 << 10)).status == 413)
    #expect(try server.request("POST", "/v1/pause", body: text(64 << 10)).status == 202)
    // In pieces, without saying how much it will be.
    let chunked = try server.connect()
    try chunked.send(
      "POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in 0..<9 { try chunked.send("2000\r\n\(text(0x2000))\r\n") }
    #expect(try chunked.answer().status == 413)
  }

  @Test func slowBodies() throws {
    let server = try TestServer { $0.bodyTime = .milliseconds(300) }
    let client = try server.connect()
    try client.send("POST /v1/evaluate HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n")
    for _ in 0..<5 {
      usleep(50_000)
      try client.send(" ")
    }
    let answer = try client.answer()
    #expect(answer.status == 408 && answer.headers["connection"] == "close", "\(answer)")
    #expect(try answer.decoded(ErrorBody.self).code == "timeout")
    #expect(client.isClosed())
  }

  /// Whoever is refused cannot keep the connection busy by sending on.
  @Test func bodiesNobodyWants() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let client = try RawClient(port: server.port)
    try client.send("POST /v1/queue HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    let answer = try client.answer()
    #expect(answer.status == 401 && answer.headers["connection"] == "close")
    #expect(
      soon(seconds: 8) {
        usleep(100_000)
        do {
          try client.send("1\r\nx\r\n")
          return false
        } catch {
          return true
        }
      })
  }

  @Test func headersAndTargets() throws {
    let server = try TestServer()
    let long = String(repeating: "a", count: 100_000)
    for request in [
      "GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Long: \(long)\r\n\r\n",
      "GET /\(long) HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /v1/status HTTP/1.1\r\nHost: x\r\n\(String(repeating: "X-A: b\r\n", count: 200))\r\n",
      "GET /v1/status HTTP/1.1\r\nHost x\r\n\r\n",
      "hello\r\n\r\n",
    ] {
      let client = try server.connect()
      // The rest may meet a connection that is closed already.
      try? client.send(request)
      let answer = try client.answer()
      #expect((400..<500).contains(answer.status), "\(request.prefix(40)): \(answer)")
    }
    #expect(try server.request("GET", "/v1/status").status == 200)
  }

  @Test func idleConnections() throws {
    let server = try TestServer { $0.idleTime = .seconds(1) }
    let silent = try server.connect()
    let halfway = try server.connect()
    try halfway.send("GET /v1/status HT")
    let used = try server.connect()
    #expect(try used.request("GET", "/v1/status").status == 200)
    for client in [silent, halfway, used] { #expect(client.isClosed()) }
    // A stream is not idle.
    let follower = try server.connect()
    try follower.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    _ = try follower.head()
    _ = try follower.event()
    usleep(2_000_000)
    server.backend.send(.log(LogLine(time: 0, level: .info, message: "still")))
    #expect(try follower.event()?.name == "log")
  }

  /// Those that come when all places are taken are served when one is free.
  @Test func tooManyConnections() throws {
    let server = try TestServer { $0.connections = 3 }
    var clients = try (0..<3).map { _ in try server.connect() }
    for client in clients { #expect(try client.request("GET", "/v1/status").status == 200) }
    let waiting = try server.connect(seconds: 5)
    #expect(throws: RawClient.Failure.self) { try waiting.request("GET", "/v1/status") }
    clients.removeAll()
    #expect(try waiting.answer().status == 200)
  }

  /// Connections over which nobody has been let in make room for those that come: who may ask is never kept out.
  @Test func idleStrangersKeepNobodyOut() throws {
    let server = try TestServer(at: "127.0.0.1:0") { $0.connections = 8 }
    let headers = ["Authorization": "Bearer \(try server.token())"]
    let known = try RawClient(port: server.port)
    #expect(try known.request("GET", "/v1/status", headers: headers).status == 200)
    let strangers = try (0..<40).map { _ in try RawClient(port: server.port) }
    try strangers[39].send("GET /v1/status HTTP/1.1\r\n")
    for _ in 0..<20 { #expect(try server.tcp("GET", "/v1/status", headers: headers).status == 200) }
    #expect(try known.request("GET", "/v1/status", headers: headers).status == 200, "it keeps its place")
    #expect(strangers[0].isClosed())
    // One that was refused is still a stranger.
    let refused = try RawClient(port: server.port)
    #expect(try refused.request("GET", "/v1/status").status == 401)
    let more = try (0..<8).map { _ in try RawClient(port: server.port) }
    #expect(refused.isClosed())
    withExtendedLifetime(more) {}
  }

  @Test func firstHeadsThatDoNotArrive() throws {
    let server = try TestServer(at: "127.0.0.1:0") { $0.headTime = .seconds(2) }
    let silent = try RawClient(port: server.port)
    let slow = try server.connect()
    try slow.send("GET /v1/status HTTP/1.1\r\nX-")
    #expect(silent.isClosed() && slow.isClosed())
    let used = try server.connect()
    #expect(try used.request("GET", "/v1/status").status == 200)
    usleep(3_000_000)
    #expect(try used.request("GET", "/v1/status").status == 200, "later ones have longer")
  }

  /// As curl does with large bodies: the head first, and the rest when it is told to.
  @Test func bodiesThatAreAskedFor() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let head = "POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    let client = try server.connect()
    for body in [#"{"length": 2}"#, #"{"length": 3}"#] {
      try client.send("\(head)Content-Length: \(body.utf8.count)\r\n\r\n")
      #expect(try client.head().status == 100)
      try client.send(body)
      #expect(try client.answer().status == 200)
    }
    // Refused before it is sent.
    let large = try server.connect()
    try large.send("\(head)Content-Length: 999999999\r\n\r\n")
    #expect(try large.answer().status == 413)
    let stranger = try RawClient(port: server.port)
    try stranger.send("\(head)Content-Length: 13\r\n\r\n")
    #expect(try stranger.answer().status == 401)
  }

  /// A backend that holds up the server's thread does not hold up the end of the program.
  @Test func theEndDoesNotWaitForAHangingBackend() throws {
    let server = try TestServer()
    let end = server.backend.holdUp()
    let client = try server.connect()
    try client.send("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(soon { server.backend.isHeldUp })
    let begin = ContinuousClock.now
    #expect(!server.server.stop(within: 1))
    #expect(ContinuousClock.now - begin < .seconds(60))
    end()
  }

  /// Programs that the daemon may start have none of its sockets.
  @Test func socketsAreClosedInOtherPrograms() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let clients = try [server.connect(), RawClient(port: server.port)]
    for client in clients { _ = try client.request("GET", "/openapi.json") }
    let sockets = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { CInt($0) }
      .filter { isEnd($0, of: server) }
    #expect(sockets.count == 4, "two listeners, and a connection of each")
    for socket in sockets { #expect(fcntl(socket, F_GETFD) & FD_CLOEXEC != 0, "\(socket)") }
    withExtendedLifetime(clients) {}
  }

  /// Whether a descriptor is a socket at the server's end: bound to its path or port.
  private func isEnd(_ descriptor: CInt, of server: TestServer) -> Bool {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { storage in
      let found = storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
      guard found == 0 else { return false }
      if storage.pointee.ss_family == AF_INET {
        return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          Int(UInt16(bigEndian: $0.pointee.sin_port)) == server.port
        }
      }
      guard storage.pointee.ss_family == AF_UNIX else { return false }
      return storage.withMemoryRebound(to: sockaddr_un.self, capacity: 1) {
        withUnsafeBytes(of: $0.pointee.sun_path) { path in
          String(decoding: path.prefix { $0 != 0 }, as: UTF8.self) == server.server.socketPath
        }
      }
    }
  }

  @Test func places() throws {
    let places = ConcurrencyLimit(2, of: "evaluations")
    var taken = [try places.take(), try places.take()]
    #expect(throws: ErrorBody.busy("2 evaluations are under way, the most at a time; try again later")) {
      try places.take()
    }
    taken.removeLast()
    taken.append(try places.take())
    #expect(taken.count == 2)
  }

  /// Large answers, asked for at once and not taken.
  @Test func clientsThatDoNotRead() throws {
    let server = try TestServer { $0.writeTime = .milliseconds(300) }
    let client = try server.connect()
    try client.send(String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: 100))
    // To read would make room.
    #expect(client.isHungUp())
    #expect(client.isClosed())
    #expect(try server.request("GET", "/v1/status").status == 200)
  }
}
