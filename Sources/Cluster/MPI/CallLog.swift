import Synchronization

/// In which call of MPI this process is, for a thread that watches over it.
///
/// The fields are read one by one: whoever looks in the very moment of a change may see parts of two calls.
public enum CallLog {
  /// A call that waits for other ranks.
  public struct Call: Equatable, Sendable {
    /// The C function; in words, what ranks do in memory that they share.
    public let name: String
    /// Which ranks make it together, in words.
    public let among: String
    /// How many calls they had begun together on this rank, it included; of a call between two, a negative number.
    public let ordinal: Int
  }

  // Addresses of texts that live as long as the program.
  private static let name = Atomic<UInt>(0)
  private static let among = Atomic<UInt>(0)
  private static let ordinal = Atomic<Int>(0)

  /// How many calls together each kind of communicator has begun on this rank.
  public static var counts: [String: Int] {
    CallCounter.all.withLock { all in
      Dictionary(uniqueKeysWithValues: all.map { ("\($0.among)", $0.together.load(ordering: .relaxed)) })
    }
  }

  /// The call under way; nil outside MPI.
  public static var current: Call? {
    guard let name = UnsafePointer<UInt8>(bitPattern: name.load(ordering: .acquiring)),
      let among = UnsafePointer<UInt8>(bitPattern: among.load(ordering: .relaxed))
    else { return nil }
    return Call(
      name: String(cString: name), among: String(cString: among), ordinal: ordinal.load(ordering: .relaxed))
  }

  static func begin(_ call: StaticCall) {
    ordinal.store(call.ordinal, ordering: .relaxed)
    among.store(UInt(bitPattern: call.among.utf8Start), ordering: .relaxed)
    name.store(UInt(bitPattern: call.name.utf8Start), ordering: .releasing)
  }

  static func end() { name.store(0, ordering: .relaxed) }
}

/// A call of MPI, as the thread that makes it knows it.
struct StaticCall {
  let name: StaticString
  let among: StaticString
  let ordinal: Int

  /// Makes it, and has it seen while it lasts. Throws `MPIError`.
  func make(_ call: () throws -> Int32) throws { try during { try checked("\(name)", call()) } }

  /// Has it seen while `body` makes it.
  func during<Value>(_ body: () throws -> Value) rethrows -> Value {
    CallLog.begin(self)
    defer { CallLog.end() }
    return try body()
  }
}

/// The calls on this rank of all communicators of one name, in the order of the program: the same on all their ranks.
final class CallCounter: Sendable {
  fileprivate static let all = Mutex<[CallCounter]>([])

  fileprivate let among: StaticString
  fileprivate let together = Atomic<Int>(0)
  private let alone = Atomic<Int>(0)

  private init(_ among: StaticString) { self.among = among }

  /// `among`: its ranks, in words.
  static func of(_ among: StaticString) -> CallCounter {
    all.withLock { all in
      if let known = all.first(where: { "\($0.among)" == "\(among)" }) {
        // Made anew: ranks that were in the one before and those that were not begin alike.
        known.together.store(0, ordering: .relaxed)
        return known
      }
      let new = CallCounter(among)
      all.append(new)
      return new
    }
  }

  /// The next call that all its ranks make.
  func next(_ name: StaticString) -> StaticCall {
    StaticCall(name: name, among: among, ordinal: together.wrappingAdd(1, ordering: .relaxed).newValue)
  }

  /// The next one between two of them, which the others do not make; its number is negative.
  func nextOfTwo(_ name: StaticString) -> StaticCall {
    StaticCall(name: name, among: among, ordinal: -alone.wrappingAdd(1, ordering: .relaxed).newValue)
  }
}
