/// A host and a port, as options name them: `127.0.0.1:8080`, `node17:8080`, `[::1]:8080`.
public struct TCPAddress: Equatable, Sendable, CustomStringConvertible {
  /// A name, or an address without brackets.
  public var host: String
  /// 0, for one who listens: any that is free.
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Throws `TCPAddressError`.
  public init(_ text: String) throws {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw TCPAddressError(text: text)
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw TCPAddressError(text: text)
    }
    if host.isEmpty { throw TCPAddressError(text: text) }
    self.init(host: String(host), port: Int(port))
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A text that is no address.
public struct TCPAddressError: Error, Equatable, CustomStringConvertible {
  public let text: String
  public var description: String {
    "'\(text)' is no address: expected a host and a port, such as 127.0.0.1:8080 or [::1]:8080"
  }
}
