import Foundation
import Glibc
import Testing

/// What came back.
struct RawAnswer {
  var status = 0
  /// By name in lower case.
  var headers: [String: String] = [:]
  var body = ""

  func decoded<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    try JSONDecoder().decode(type, from: Data(body.utf8))
  }
}

/// A connection that sends and reads bytes as a test says: nothing of the server's own libraries takes part.
final class RawClient {
  enum Failure: Error, Equatable { case connecting(Int32), timeout, closed, malformed(String) }

  private let descriptor: CInt
  private var unread: [UInt8] = []

  init(socket path: String, seconds: Int = 20) throws {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    descriptor = try Self.connect(&address, family: AF_UNIX, seconds: seconds)
  }

  init(port: Int, seconds: Int = 20) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    descriptor = try Self.connect(&address, family: AF_INET, seconds: seconds)
  }

  deinit { close(descriptor) }

  private static func connect<Address>(_ address: inout Address, family: CInt, seconds: Int) throws -> CInt {
    let descriptor = socket(family, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
    if result != 0 {
      let code = errno
      close(descriptor)
      throw Failure.connecting(code)
    }
    return descriptor
  }

  /// So little that a server that writes to one who does not read soon has to wait.
  func readLittle() {
    var size: CInt = 4096
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      if sent <= 0 { throw Failure.closed }
      rest = rest.dropFirst(sent)
    }
  }

  /// A request with the headers that everyone sends.
  func request(
    _ method: String, _ path: String, headers: [String: String] = [:], body: String? = nil
  ) throws -> RawAnswer {
    var all = ["Host": "localhost"].merging(headers) { $1 }
    if let body {
      all["Content-Length"] = "\(body.utf8.count)"
      all["Content-Type"] = all["Content-Type"] ?? "application/json"
    }
    let lines = all.filter { $0.value != "" }.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }
    try send("\(method) \(path) HTTP/1.1\r\n\(lines.joined())\r\n\(body ?? "")")
    return try answer(to: method)
  }

  /// The next answer, whole.
  func answer(to method: String = "GET") throws -> RawAnswer {
    var answer = try head()
    if method == "HEAD" { return answer }
    if let length = answer.headers["content-length"].flatMap(Int.init) {
      while unread.count < length { try readMore() }
      answer.body = String(decoding: unread.prefix(length), as: UTF8.self)
      unread.removeFirst(length)
    } else if answer.headers["transfer-encoding"] == "chunked" {
      while let chunk = try chunk() { answer.body += chunk }
    }
    return answer
  }

  /// Status and headers; the body is still to be read.
  func head() throws -> RawAnswer {
    var answer = RawAnswer()
    let first = try line().split(separator: " ")
    guard first.count >= 2, first[0] == "HTTP/1.1", let status = Int(first[1]) else {
      throw Failure.malformed(first.joined(separator: " "))
    }
    answer.status = status
    while true {
      let line = try line()
      if line.isEmpty { return answer }
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { throw Failure.malformed(line) }
      answer.headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
    }
  }

  /// The next piece of a body that comes in pieces; nil at its end.
  func chunk() throws -> String? {
    guard let length = Int(try line(), radix: 16) else { throw Failure.malformed("length of a chunk") }
    while unread.count < length + 2 { try readMore() }
    let text = String(decoding: unread.prefix(length), as: UTF8.self)
    unread.removeFirst(length + 2)
    return length == 0 ? nil : text
  }

  /// The next server-sent event: its name and data. Comments are passed over.
  func event() throws -> (name: String, data: String)? {
    while let text = try chunk() {
      if text.hasPrefix(":") { continue }
      let lines = text.split(separator: "\n").map(String.init)
      guard lines.count == 2, lines[0].hasPrefix("event: "), lines[1].hasPrefix("data: ") else {
        throw Failure.malformed(text)
      }
      return (String(lines[0].dropFirst(7)), String(lines[1].dropFirst(6)))
    }
    return nil
  }

  /// Whether the server ends the connection, rather than saying more or nothing.
  func isClosed() -> Bool {
    do {
      while true { try readMore() }
    } catch Failure.closed {
      return true
    } catch {
      return false
    }
  }

  /// Whether the server ends the connection within ten seconds, before anything more is read.
  func isHungUp() -> Bool {
    var asked = pollfd(fd: descriptor, events: 0, revents: 0)
    return poll(&asked, 1, 10_000) == 1 && asked.revents & CShort(POLLHUP) != 0
  }

  private func line() throws -> String {
    while true {
      if let end = unread.firstIndex(of: 10) {
        let line = unread[..<end]
        unread.removeFirst(end + 1)
        return String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
      }
      try readMore()
    }
  }

  private func readMore() throws {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count == 0 || (count < 0 && errno == ECONNRESET) { throw Failure.closed }
    if count < 0 { throw Failure.timeout }
    unread += buffer.prefix(count)
  }
}
