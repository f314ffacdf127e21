import Files
import Glibc
import NIOCore

/// Where a hub listens and what opens it, as it travels to the ranks.
public struct HubAddress: Sendable, Equatable, CustomStringConvertible {
  /// The variable of the environment in which a launcher hands its own to the ranks.
  public static let variable = "LOCKSTEP_LAUNCHER"

  /// Addresses of its machine, the likeliest first.
  public var hosts: [String]
  public var port: Int
  /// 128 random bits, in hexadecimal digits.
  public var token: String

  init(hosts: [String], port: Int, token: String = Self.makeToken()) {
    self.hosts = hosts
    self.port = port
    self.token = token
  }

  /// Addresses of every interface of this machine, loopback last.
  static func everyInterface() throws -> [String] {
    let addresses = try System.enumerateDevices().compactMap { $0.address?.ipAddress }
    // Addresses of one link mean nothing elsewhere.
    let usable = addresses.filter { !$0.lowercased().hasPrefix("fe80") }
    return usable.filter { !isLoopback($0) } + usable.filter(isLoopback)
  }

  private static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }

  /// As `description` writes it; nil if it is no such text.
  public init?(_ text: String) {
    let parts = text.split(separator: "/").map(String.init)
    guard parts.count == 3, let port = Int(parts[1]), (1...65535).contains(port) else { return nil }
    token = parts[0]
    self.port = port
    hosts = parts[2].split(separator: ",").map(String.init)
  }

  public var description: String { "\(token)/\(port)/\(hosts.joined(separator: ","))" }

  static func makeToken() -> String {
    // The system's own source of secrets (getrandom).
    var random = SystemRandomNumberGenerator()
    return (0..<2).map { _ in random.next().digits(16, radix: 16) }.joined()
  }

  /// Whether a caller has the token. Takes as long whatever the first difference is, so that nobody can find it bit by bit.
  func admits(_ token: String) -> Bool {
    let (own, given) = (Array(self.token.utf8), Array(token.utf8))
    return own.count == given.count && zip(own, given).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
