import Glibc
import NIOCore

/// Where a hub listens and what opens it, as it travels to the ranks.
public struct HubAddress: Sendable, Equatable, CustomStringConvertible {
  /// The variable of the environment in which a launcher hands its own to the ranks.
  public static let variable = "LOCKSTEP_LAUNCHER"

  /// Of every interface of its machine, loopback last.
  public var hosts: [String]
  public var port: Int
  public var token: String

  init(port: Int, token: String) throws {
    let addresses = try System.enumerateDevices().compactMap { $0.address?.ipAddress }
    // Addresses of one link mean nothing elsewhere.
    let usable = addresses.filter { !$0.lowercased().hasPrefix("fe80") }
    hosts = usable.filter { !Self.isLoopback($0) } + usable.filter(Self.isLoopback)
    self.port = port
    self.token = token
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
    var random = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(random.next(), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
