import Foundation
import NIOCore
import NIOExtras

/// Values as lines of JSON on a channel.
enum Line {
  /// Lines longer than this close the connection.
  static let longest = 1 << 16

  static func encode(_ value: some Encodable, _ allocator: ByteBufferAllocator) throws -> ByteBuffer {
    var buffer = allocator.buffer(bytes: try JSONEncoder().encode(value))
    buffer.writeInteger(UInt8(ascii: "\n"))
    return buffer
  }
}

/// Reads lines of JSON and hands them on; closes the connection at anything else. On its channel's event loop.
final class LineReader<Message: Decodable>: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let onMessage: (Message, ChannelHandlerContext) -> Void
  private let onClose: () -> Void

  init(onMessage: @escaping (Message, ChannelHandlerContext) -> Void, onClose: @escaping () -> Void) {
    self.onMessage = onMessage
    self.onClose = onClose
  }

  /// Adds the handlers of a line's way to a channel, on its event loop.
  func install(in channel: any Channel) throws {
    try channel.pipeline.syncOperations.addHandlers(
      ByteToMessageHandler(LineBasedFrameDecoder(), maximumBufferSize: Line.longest), self)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let line = unwrapInboundIn(data)
    guard let message = try? JSONDecoder().decode(Message.self, from: Data(line.readableBytesView)) else {
      context.close(promise: nil)
      return
    }
    onMessage(message, context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    onClose()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
