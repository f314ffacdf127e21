import ControlAPI
import Glibc
import NIOCore

/// The host in a Host header, in lower case: a name, or an address in numbers.
struct HostName: Equatable {
  let text: String
  private let address: SocketAddress?

  init(_ text: String) {
    self.text = text
    address = try? SocketAddress(ipAddress: text, port: 0)
  }

  /// Without the port, which may be another one here (`ssh -L`), and without brackets; nil if it is none.
  init?(authority: String) {
    guard let host = try? TCPAddress(authority).host else {
      // No port.
      let isBracketed = authority.hasPrefix("[") && authority.hasSuffix("]")
      if authority.isEmpty || (authority.contains(":") && !isBracketed) { return nil }
      self.init(isBracketed ? String(authority.dropFirst().dropLast()) : authority)
      return
    }
    self.init(host)
  }

  /// Whether a client may call a server by this name that listens at `listening`.
  ///
  /// One that listens at every address of the machine can be called by any, and by the machine's name: an address in
  /// numbers cannot be made to point here by others.
  func names(_ listening: TCPAddress) -> Bool {
    if isLoopback || text == listening.host.lowercased() { return true }
    return HostName(listening.host).isEveryAddress && (address != nil || text == Self.thisMachine)
  }

  var isLoopback: Bool {
    switch address {
    case .v4(let address): UInt32(bigEndian: address.address.sin_addr.s_addr) >> 24 == 127
    case .v6: text == "::1"
    default: text == "localhost"
    }
  }

  var isEveryAddress: Bool { text == "0.0.0.0" || text == "::" }

  /// In lower case.
  static let thisMachine: String = {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).lowercased()
  }()
}
