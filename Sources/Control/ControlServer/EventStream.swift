import ControlAPI
import Foundation
import Hummingbird
import NIOCore
import Synchronization

/// Sends each event to all followers, encoded once.
///
/// A follower that is slow has the newest status only, and everything else in order; one for whom too much waits is
/// cut off. So what a follower costs is bounded, and none holds up another.
final class EventHub: Sendable {
  private let followers = Mutex<[Follower]>([])
  private let bounds: Bounds
  let places: ConcurrencyLimit

  init(bounds: Bounds) {
    self.bounds = bounds
    places = ConcurrencyLimit(bounds.followers, of: "streams of events")
  }

  /// Until the backend's events end; then no follower waits for more.
  func run(_ backend: any ControlBackend) async {
    for await event in backend.events() { publish(event) }
    followers.withLock { $0 }.forEach { $0.finish() }
  }

  /// So that a connection that is gone is noticed, and proxies keep one that is silent.
  func beat() { publish(Message(kind: .comment, bytes: ByteBuffer(string: ": still here\n\n"))) }

  private func publish(_ event: Event) {
    do {
      publish(try Message(event))
    } catch {
      let line = LogLine(
        time: Date.now.timeIntervalSince1970, level: .error,
        message: "an event '\(event.name)' cannot be told: \(error)")
      if let message = try? Message(.log(line)) { publish(message) }
    }
  }

  private func publish(_ message: Message) {
    for follower in followers.withLock({ $0 }) { follower.offer(message) }
  }

  /// The response to a follower: a status, then all events, until either side closes.
  func follow(_ context: ControlContext, backend: any ControlBackend) throws -> Response {
    let place = try places.take()
    let first = try Message(.status(backend.status()))
    return .eventStream { writer in
      let follower = Follower(bounds: self.bounds, channel: context.channel)
      follower.offer(first)
      self.followers.withLock { $0.append(follower) }
      defer { self.followers.withLock { $0.removeAll { $0 === follower } } }
      while let message = await follower.next() {
        let cut = context.channel.cut(after: self.bounds.writeTime)
        defer { cut.cancel() }
        try await writer.write(message.bytes)
      }
      withExtendedLifetime(place) {}
    }
  }
}

/// An event as the stream has it.
private struct Message: Sendable {
  enum Kind {
    /// The newest says all that those before it did.
    case status
    /// Nothing to someone for whom there is something else.
    case comment
    case other
  }
  let kind: Kind
  let bytes: ByteBuffer

  init(kind: Kind, bytes: ByteBuffer) {
    self.kind = kind
    self.bytes = bytes
  }

  init(_ event: Event) throws {
    switch event {
    case .status(let status): try self.init(kind: .status, bytes: .event(event.name, status))
    case .curves(let curves): try self.init(kind: .other, bytes: .event(event.name, curves))
    case .evaluation(let result): try self.init(kind: .other, bytes: .event(event.name, result))
    case .sample(let sample): try self.init(kind: .other, bytes: .event(event.name, sample))
    case .job(let job): try self.init(kind: .other, bytes: .event(event.name, job))
    case .log(let line): try self.init(kind: .other, bytes: .event(event.name, line))
    }
  }
}

/// What waits to be written to one follower.
private final class Follower: Sendable {
  private struct State {
    var waiting: [Message] = []
    var bytes = 0
  }
  private let state = Mutex(State())
  private let wakes: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation
  private let bounds: Bounds
  private let channel: any Channel

  init(bounds: Bounds, channel: any Channel) {
    self.bounds = bounds
    self.channel = channel
    (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  func offer(_ message: Message) {
    let isTooMuch = state.withLock {
      if message.kind == .comment, !$0.waiting.isEmpty { return false }
      if message.kind == .status, let old = $0.waiting.firstIndex(where: { $0.kind == .status }) {
        $0.bytes -= $0.waiting.remove(at: old).bytes.readableBytes
      }
      $0.waiting.append(message)
      $0.bytes += message.bytes.readableBytes
      return $0.waiting.count > bounds.followerEvents || $0.bytes > bounds.followerBytes
    }
    if isTooMuch {
      finish()
      channel.close(promise: nil)
    } else {
      wake.yield()
    }
  }

  /// Nil when it is over. Asked by one task.
  func next() async -> Message? {
    while true {
      let message: Message? = state.withLock {
        guard let first = $0.waiting.first else { return nil }
        $0.waiting.removeFirst()
        $0.bytes -= first.bytes.readableBytes
        return first
      }
      if let message { return message }
      var iterator = wakes.makeAsyncIterator()
      if await iterator.next() == nil { return nil }
    }
  }

  func finish() { wake.finish() }
}

extension ByteBuffer {
  /// One server-sent event. JSON as it is written here has no line breaks.
  static func event(_ name: String, _ value: some Encodable) throws -> ByteBuffer {
    var buffer = ByteBuffer(string: "event: \(name)\ndata: ")
    buffer.writeImmutableBuffer(try .json(value))
    buffer.writeString("\n\n")
    return buffer
  }
}

extension Response {
  /// A stream of server-sent events.
  static func eventStream(
    _ write: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
  ) -> Response {
    Response(
      status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
      body: ResponseBody { writer in
        try await write(&writer)
        try await writer.finish(nil)
      })
  }
}
