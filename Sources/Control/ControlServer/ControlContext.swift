import ControlAPI
import Hummingbird
import Logging
import NIOCore

/// Where a connection came in.
enum Entrance: Sendable {
  /// Only the owner's processes can open the socket: they need no token.
  case unixSocket
  /// The address as it was asked for.
  case tcp(TCPAddress)
}

/// What travels with a request through the router.
struct ControlContext: RequestContext {
  struct Source: RequestContextSource {
    let entrance: Entrance
    let channel: any Channel
    let admission: Admission
    let logger: Logger
  }

  var coreContext: CoreRequestContextStorage
  let entrance: Entrance
  let channel: any Channel
  private let admission: Admission

  init(source: Source) {
    coreContext = CoreRequestContextStorage(source: source)
    entrance = source.entrance
    channel = source.channel
    admission = source.admission
  }

  /// The connection is that of somebody who may ask: it keeps its place.
  func letIn() { admission.letIn(channel) }
}

extension Channel {
  /// Ends the connection after a time, unless this is cancelled before: for a client that does not read.
  func cut(after time: TimeAmount) -> Scheduled<Void> { eventLoop.scheduleTask(in: time) { self.close(promise: nil) } }
}
