import ControlAPI
import Files
import Foundation
import Glibc
import TestSupport
import Testing

@testable import ControlServer

/// What the server leaves in the file system, and finds there.
@Suite struct SocketTests {
  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }

  private func start(in folder: String, at address: TCPAddress? = nil) throws -> ControlServer {
    try ControlServer(in: folder, at: address, backend: FakeBackend()) { _ in }
  }

  @Test func onlyTheOwnerMayUseThem() throws {
    let server = try TestServer()
    let (socket, token) = (server.folder.file("control.sock"), server.folder.file("control.token"))
    #expect(server.server.socketPath == socket && server.server.tokenPath == token)
    #expect(mode(socket) == 0o600 && mode(token) == 0o600)
    #expect(server.server.stop())
    #expect(try FileSystem.list(server.folder.path) == [])
  }

  @Test func theSocketOfADeadDaemonIsReplaced() throws {
    let folder = try TemporaryFolder()
    // A socket that nobody listens at, and what else the daemon left.
    let files = try PrivateFiles(folder: folder.path)
    close(try files.makeSocket())
    try folder.write("control.token", "old\n")
    let server = try start(in: folder.path)
    defer { server.stop() }
    #expect(try RawClient(socket: server.socketPath).request("GET", "/v1/status").status == 200)
    #expect(try String(contentsOfFile: server.tokenPath, encoding: .utf8).utf8.count == 65)
    #expect(mode(server.tokenPath) == 0o600)
  }

  @Test func theSocketOfALivingDaemonIsNot() throws {
    let server = try TestServer()
    expectError("control.sock", "another daemon does") { _ = try start(in: server.folder.path) }
    // Nor is it harmed by the attempt.
    #expect(try server.request("GET", "/v1/status").status == 200)
    #expect(try server.token().count == 64)
  }

  @Test func whatIsNoSocketStays() throws {
    let folder = try TemporaryFolder()
    try folder.write("control.sock", "notes")
    expectError("control.sock", "another kind of file") { _ = try start(in: folder.path) }
    #expect(try String(contentsOfFile: folder.file("control.sock"), encoding: .utf8) == "notes")
  }

  @Test func foldersAndAddressesThatCannotServe() throws {
    expectError("cannot find /nowhere") { _ = try start(in: "/nowhere") }
    expectError("/proc", "cannot make socket") { _ = try start(in: "/proc") }
    let folder = try TemporaryFolder()
    let taken = try TestServer(at: "127.0.0.1:0")
    expectError("127.0.0.1:\(taken.port)", "another program does") {
      _ = try start(in: folder.path, at: TCPAddress(host: "127.0.0.1", port: taken.port))
    }
    expectError("cannot listen at no-such-host.invalid:1") {
      _ = try start(in: folder.path, at: TCPAddress(host: "no-such-host.invalid", port: 1))
    }
    // Nothing is left of an attempt that failed.
    #expect(try FileSystem.list(folder.path) == [])
  }

  /// Longer than a socket's path may be: it is elsewhere, and found by whoever knows the folder.
  @Test func longPaths() throws {
    let folder = try TemporaryFolder()
    let deep = folder.file(String(repeating: "deep/", count: 30))
    try FileSystem.createDirectory(deep)
    let server = try start(in: deep)
    let path = try ControlSocket.path(for: deep)
    #expect(path == server.socketPath && path.utf8.count <= 107 && !path.hasPrefix(folder.path))
    #expect(mode(path) == 0o600 && mode(FileSystem.parent(of: path)) == 0o700)
    #expect(try RawClient(socket: path).request("GET", "/v1/status").status == 200)
    // From another environment too: the folder itself says where.
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(deep)/control.sock") == path)
    // Under another name the same, and another folder has another one.
    #expect(try ControlSocket.path(for: "\(deep)/../deep") == path)
    #expect(try ControlSocket.path(for: "\(deep)/..") != path)
    expectError("another daemon does") { _ = try start(in: deep) }
    #expect(server.stop())
    #expect(!FileSystem.exists(path))
    #expect(try FileSystem.list(deep) == [])
  }

  @Test func addresses() throws {
    #expect(try TCPAddress("127.0.0.1:80") == TCPAddress(host: "127.0.0.1", port: 80))
    #expect(try TCPAddress("[::1]:0") == TCPAddress(host: "::1", port: 0))
    #expect(try TCPAddress("[::1]:0").description == "[::1]:0")
    #expect(try TCPAddress("node7:8080").description == "node7:8080")
    for text in ["", "80", "host", "host:", ":80", "host:65536", "host:-1", "host:x", "::1:80", "[]:1"] {
      expectError("'\(text)' is no address", "127.0.0.1:8080") { _ = try TCPAddress(text) }
    }
  }
}
