import ControlAPI
import NIOCore
import Synchronization

/// What the server takes from others at most, so that no client, mistaken or hostile, can keep training from its memory
/// and time.
public struct Bounds: Sendable {
  /// Bytes of a request's body, and of one that submits a run.
  public var body = 64 << 10
  public var submission = 1 << 20
  /// Values and names in the JSON of a body.
  public var values = 4096
  /// Bytes and number of a request's header fields.
  public var headers = 16 << 10
  public var headerFields = 64
  /// For the head of a connection's first request to arrive.
  public var headTime = TimeAmount.seconds(10)
  /// For a request's body to arrive.
  public var bodyTime = TimeAmount.seconds(10)
  /// For an answer, or an event of a stream, to be taken by the client.
  public var writeTime = TimeAmount.seconds(30)
  /// For the next request on a connection, or for the whole head of one.
  public var idleTime = TimeAmount.seconds(60)
  /// Open connections of a listener. Where there are more, the oldest that nobody has been let in over is closed; where
  /// there is none such, more wait to be accepted.
  public var connections = 256
  /// Clients that follow events, and what waits for each of them at most before it is cut off.
  public var followers = 64
  public var followerEvents = 256
  public var followerBytes = 4 << 20
  /// Requests that the training loop works on, or has yet to.
  public var generations = 8
  public var evaluations = 8
  /// Links to the live page that were asked for and not visited, and how long each is good.
  public var links = 64
  public var linkTime = Duration.seconds(60)

  public init() {}
}

/// So many of something at a time.
final class ConcurrencyLimit: Sendable {
  private let what: String
  private let most: Int
  private let taken = Mutex(0)

  /// `what` is in the plural, for the message.
  init(_ most: Int, of what: String) {
    self.most = most
    self.what = what
  }

  /// One place, given back when the last reference to it goes. Throws `busy`.
  func take() throws -> Place {
    try taken.withLock {
      if $0 >= most { throw ErrorBody.busy("\($0) \(what) are under way, the most at a time; try again later") }
      $0 += 1
    }
    return Place(self)
  }

  final class Place: Sendable {
    private let places: ConcurrencyLimit
    fileprivate init(_ places: ConcurrencyLimit) { self.places = places }
    deinit { places.taken.withLock { $0 -= 1 } }
  }
}
