import NIOCore
import NIOHTTPTypes
import Synchronization

/// On a listener: who has a place among so many connections.
///
/// A connection over which nobody has been let in yet costs whoever opens it nothing: where all places are taken, the
/// oldest of those is closed for one that comes. So none can keep out who may ask. Where all are taken by those
/// who may, others wait to be accepted.
final class Admission: ChannelDuplexHandler, Sendable {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel
  typealias OutboundIn = Never
  typealias OutboundOut = Never

  private struct State {
    var taken = 0
    /// Those over which nobody has been let in, the oldest first.
    var strangers: [any Channel] = []
    /// Whether the listener has been kept from accepting more.
    var isWaiting = false
  }

  private let places: Int
  private let state = Mutex(State())

  init(places: Int) { self.places = places }

  func letIn(_ channel: any Channel) { state.withLock { $0.strangers.removeAll { $0 === channel } } }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let channel = unwrapInboundIn(data)
    let surplus = state.withLock { state -> (any Channel)? in
      // The newest stays: else no stranger could ever be let in.
      let surplus = state.taken >= places && !state.strangers.isEmpty ? state.strangers.removeFirst() : nil
      state.taken += 1
      state.strangers.append(channel)
      return surplus
    }
    surplus?.close(promise: nil)
    let listener = context.channel
    channel.closeFuture.whenComplete { _ in if self.leave(channel) { listener.read() } }
    context.fireChannelRead(data)
  }

  func read(context: ChannelHandlerContext) {
    let hasRoom = state.withLock { state in
      state.isWaiting = state.taken >= places && state.strangers.isEmpty
      return !state.isWaiting
    }
    if hasRoom { context.read() }
  }

  /// Whether the listener waits for the place.
  private func leave(_ channel: any Channel) -> Bool {
    state.withLock { state in
      state.taken -= 1
      state.strangers.removeAll { $0 === channel }
      return state.isWaiting && state.taken < places
    }
  }
}

/// Ends a connection whose first request has no head after a time. Later ones have the time that a connection may be idle.
final class HeadDeadline: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart

  private let time: TimeAmount
  private var end: Scheduled<Void>?

  init(_ time: TimeAmount) { self.time = time }

  func handlerAdded(context: ChannelHandlerContext) { end = context.channel.cut(after: time) }

  func handlerRemoved(context: ChannelHandlerContext) { end?.cancel() }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    end?.cancel()
    context.fireChannelRead(data)
  }
}
