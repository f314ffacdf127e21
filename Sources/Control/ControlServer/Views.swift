import ControlAPI
import Foundation
import NIOCore
import Synchronization

/// The TCP listener, and links to the live page that lead to it.
final class Views: Sendable {
  private let listeners: Listeners
  private let authentication: Authentication
  private let bounds: Bounds
  /// Where it listens: the host as it was asked for, the port as it came to be.
  private let listening = Mutex<EventLoopFuture<TCPAddress>?>(nil)

  init(listeners: Listeners, authentication: Authentication, bounds: Bounds) {
    self.listeners = listeners
    self.authentication = authentication
    self.bounds = bounds
  }

  /// Where TCP is listened at, if it is.
  var address: EventLoopFuture<TCPAddress>? { listening.withLock { $0 } }

  /// Listens at `address`, if TCP is not listened at yet.
  func listen(at address: TCPAddress) -> EventLoopFuture<TCPAddress> {
    listening.withLock {
      if let there = $0 { return there }
      let opened = listeners.listen(at: address).map {
        TCPAddress(host: address.host, port: $0.localAddress?.port ?? address.port)
      }
      opened.whenFailure { _ in self.listening.withLock { $0 = nil } }
      $0 = opened
      return opened
    }
  }

  /// A link that is good once. Opens a loopback listener if TCP is not listened at.
  func makeLink() async throws -> ViewLink {
    var address = try await listen(at: TCPAddress(host: "127.0.0.1", port: 0)).get()
    if HostName(address.host).isEveryAddress { address.host = address.host.contains(":") ? "::1" : "127.0.0.1" }
    return ViewLink(
      url: "http://\(address)\(Routes.loginPath)?code=\(authentication.makeCode())",
      expires: Date.now.timeIntervalSince1970 + Double(bounds.linkTime.components.seconds))
  }
}
