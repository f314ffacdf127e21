import NIOCore
import NIOHTTPTypes
import Synchronization

/// Limits the number of connections of a listener.
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
    /// Those that were accepted when all places were taken by others than strangers: they wait for one.
    var held: [any Channel] = []
    /// Whether the listener has been kept from accepting more.
    var isWaiting = false
  }

  private let places: Int
  private let state = Mutex(State())

  init(places: Int) { self.places = places }

  func letIn(_ channel: any Channel) { state.withLock { $0.strangers.removeAll { $0 === channel } } }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let channel = unwrapInboundIn(data)
    let (hasPlace, surplus) = state.withLock { state -> (Bool, (any Channel)?) in
      let isFull = state.taken >= places
      guard !isFull || !state.strangers.isEmpty else {
        state.held.append(channel)
        return (false, nil)
      }
      // The newest stays: else no stranger could ever be let in.
      let surplus = isFull ? state.strangers.removeFirst() : nil
      state.taken += 1
      state.strangers.append(channel)
      return (true, surplus)
    }
    guard hasPlace else { return }
    surplus?.close(promise: nil)
    let listener = context.channel
    channel.closeFuture.whenComplete { _ in self.leave(channel, listener) }
    context.fireChannelRead(data)
  }

  func read(context: ChannelHandlerContext) {
    let hasRoom = state.withLock { state in
      state.isWaiting = state.taken >= places && state.strangers.isEmpty
      return !state.isWaiting
    }
    if hasRoom { context.read() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    for channel in state.withLock({ $0.held }) { channel.close(promise: nil) }
  }

  /// Gives the place to one that is held, or lets the listener accept again.
  private func leave(_ channel: any Channel, _ listener: any Channel) {
    let (next, accepts) = state.withLock { state -> ((any Channel)?, Bool) in
      state.taken -= 1
      state.strangers.removeAll { $0 === channel }
      let next = state.held.isEmpty ? nil : state.held.removeFirst()
      return (next, next == nil && state.isWaiting && state.taken < places)
    }
    if let next { listener.pipeline.syncOperations.fireChannelRead(NIOAny(next)) }
    if accepts { listener.read() }
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
