import ControlAPI
import Foundation
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import ControlServer

/// A server in a folder of its own, before a daemon that does nothing; gone with the test.
final class TestServer: Sendable {
  let folder: TemporaryFolder
  let backend: FakeBackend
  let server: ControlServer
  /// What the server reported.
  let reports: Reports

  final class Reports: Sendable {
    let lines = Mutex<[String]>([])
  }

  init(
    _ backend: FakeBackend = FakeBackend(), at address: String? = nil, bounds: (inout Bounds) -> Void = { _ in }
  ) throws {
    self.backend = backend
    folder = try TemporaryFolder()
    var changed = Bounds()
    bounds(&changed)
    let reports = Reports()
    self.reports = reports
    server = try ControlServer(
      in: folder.path, at: address.map { try TCPAddress($0) }, backend: backend, bounds: changed
    ) { line in reports.lines.withLock { $0.append(line) } }
  }

  deinit { server.stop() }

  var port: Int { server.address?.port ?? 0 }

  func token() throws -> String {
    try String(contentsOfFile: server.tokenPath, encoding: .utf8).trimmingCharacters(in: .newlines)
  }

  /// As its description has it.
  func cookieName() throws -> String {
    let description = try request("GET", "/openapi.json").body
    return try String(#require(description.firstMatch(of: /lockstep-[0-9a-f]{8}/)).output)
  }

  /// Over the Unix socket.
  func connect(seconds: Int = 20) throws -> RawClient { try RawClient(socket: server.socketPath, seconds: seconds) }

  func request(
    _ method: String, _ path: String, headers: [String: String] = [:], body: String? = nil
  ) throws -> RawAnswer {
    try connect().request(method, path, headers: headers, body: body)
  }

  /// Over TCP, on a connection of its own.
  func tcp(
    _ method: String, _ path: String, headers: [String: String] = [:], body: String? = nil
  ) throws -> RawAnswer {
    try RawClient(port: port).request(method, path, headers: headers, body: body)
  }

  /// The table that it is made of.
  var routes: [Route] {
    let bounds = Bounds()
    let authentication = Authentication(folder: folder.path, bounds: bounds)
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    return Routes(
      backend: backend, bounds: bounds, authentication: authentication, events: EventHub(bounds: bounds),
      faults: Faults { _ in },
      views: Views(
        listeners: Listeners(loop: loop, bounds: bounds), authentication: authentication, bounds: bounds)
    ).table
  }
}

/// Waits, but not for ever, for something that another thread does.
func soon(seconds: Double = 10, _ condition: () -> Bool) -> Bool {
  let end = Date.now + seconds
  while !condition() {
    if Date.now > end { return false }
    usleep(5000)
  }
  return true
}
