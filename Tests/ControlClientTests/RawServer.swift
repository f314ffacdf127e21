import ControlAPI
import Foundation
import Glibc
import Testing

/// A server that sends what it is told to, whatever it is asked.
final class RawServer: Sendable {
  let address: TCPAddress
  private let listener: CInt

  /// `backlog` as for listen(2).
  init(backlog: CInt = 8) throws {
    let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    self.listener = listener
    var name = Self.loopback(port: 0)
    let isListening = Self.with(&name) { name, length in
      var length = length
      return bind(listener, name, length) == 0 && listen(listener, backlog) == 0
        && getsockname(listener, name, &length) == 0
    }
    address = TCPAddress(host: "127.0.0.1", port: Int(UInt16(bigEndian: name.sin_port)))
    try #require(isListening)
  }

  deinit { close(listener) }

  private static func loopback(port: Int) -> sockaddr_in {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    name.sin_port = UInt16(port).bigEndian
    return name
  }

  private static func with<Result>(
    _ name: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  /// Takes one connection and gives the request that comes over it, up to `end`. Sends `answer` and closes the
  /// connection; one that `stalls` waits for the client to do so. The stream ends then.
  func serve(_ answer: String, until end: String = "\r\n\r\n", stalls: Bool = false) -> AsyncStream<String> {
    let (requests, request) = AsyncStream<String>.makeStream()
    Thread.detachNewThread { [self] in
      let connection = accept(listener, nil, nil)
      var text = ""
      var piece = [UInt8](repeating: 0, count: 4096)
      while !text.hasSuffix(end) {
        let count = recv(connection, &piece, piece.count, 0)
        guard count > 0 else { break }
        text += String(decoding: piece.prefix(count), as: UTF8.self)
      }
      request.yield(text)
      _ = send(connection, Array(answer.utf8), answer.utf8.count, CInt(MSG_NOSIGNAL))
      if stalls { while recv(connection, &piece, piece.count, 0) > 0 {} }
      close(connection)
      request.finish()
    }
    return requests
  }

  /// Takes all places of the backlog. Gives the descriptors to close.
  func fill() -> [CInt] {
    (0..<4).map { _ in
      let descriptor = socket(
        AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      var name = Self.loopback(port: address.port)
      _ = Self.with(&name) { connect(descriptor, $0, $1) }
      return descriptor
    }
  }
}
