import Files
import NIOCore

extension Channel {
  /// Keeps this socket from programs that this process starts: NIO does not, and whoever holds a copy keeps a connection or
  /// a port open. On the event loop.
  public func closeOnExec() throws {
    _ = try pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
      Descriptors.closeOnExec($0)
    }
  }
}
