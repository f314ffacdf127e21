/// Messages from one rank to another that travel beside all else: neither side waits for the other.
public protocol RankLink: AnyObject {
  /// Begins sending a message; it comes after those sent before it.
  func send(_ message: [UInt8], to rank: Int) throws
  /// How many messages to a rank are on their way; moves them along.
  func sending(to rank: Int) throws -> Int
  /// The next message of a rank, if it has come whole; moves it along.
  func receive(from rank: Int) throws -> [UInt8]?
}
