import Kernels

/// Sums gradients over all ranks, in memory that it has made. The sum may travel while lower layers still go backward:
/// `begin` starts it, `progress` moves it along, `finish` waits for it.
public protocol GradientExchange: AnyObject {
  /// As many floats as were asked for, zero at first. Where ranks share a machine the others may read and write them from
  /// `begin` to `finish`.
  var buffer: FloatBuffer { get }
  /// Starts summing some ranges of the buffer over all ranks, in place; the same ranges on each. They are not to be
  /// touched until `finish`.
  func begin(_ ranges: [Range<Int>]) throws
  /// Moves along what travels.
  func progress() throws
  /// Waits for all that was begun. Returns the sum of the squares of this rank's part of it, where the ranks have dealt it
  /// among them: those of all ranks are the square of the whole's norm. Nil where each has to look at all of it.
  func finish() throws -> Double?
}

/// The ranks of a run as the training loop sees them. Sums, gathers, broadcasts, waits and splits are made by all ranks
/// in the same order.
public protocol RankGroup: AnyObject {
  var rank: Int { get }
  var count: Int { get }
  /// Name of the machine this rank runs on.
  var host: String { get }
  /// Seconds spent in exchanges so far, waiting for others included.
  var waitedSeconds: Double { get }
  /// For gradients of so many floats. Throws `KernelError` and what the transport throws.
  func makeExchange(count: Int, precision: TrainingConfiguration.ExchangePrecision) throws -> any GradientExchange
  /// Sums over all ranks, the same bits on each.
  func allReduce(_ values: [Double]) throws -> [Double]
  /// What every rank brought, in rank order, on every rank.
  func allGather(_ bytes: [UInt8]) throws -> [[UInt8]]
  /// Hands numbers to another rank, which receives as many.
  func send(_ values: UnsafeMutableBufferPointer<Float>, to rank: Int) throws
  func receive(_ values: UnsafeMutableBufferPointer<Float>, from rank: Int) throws
  /// Rank 0's bytes, everywhere.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws
  /// Waits, asleep, until every rank is here: for what may take one of them long. `meanwhile` is called now and then.
  func waitForAll(_ meanwhile: () -> Void) throws
  /// After an error: whether the other ranks come to this same call in time. If not, they are elsewhere, and a rank that
  /// did not see them has only one thing left to do, to end them.
  func meetAfterError() -> Bool
  /// Tells whoever watches over the ranks what this one does, and whether it waits for people, which may last for ever.
  func does(_ activity: String, step: Int, isResting: Bool)
  /// Of the first rank: a checkpoint that other hosts should have by now.
  func hasSaved(step: Int)
  /// For how long a rank may stand still, in seconds; 0: for ever.
  func limitStalls(to seconds: Double)
  /// For messages beside all else. All ranks take part, of whom there are others than this one.
  func makeLink() throws -> any RankLink
  /// Sets the last ranks aside to evaluate; at least one must be left to train. All ranks take part.
  func split(evaluators: Int) throws -> RankSplit
}

extension RankGroup {
  // Nobody watches, unless the transport does.
  public func does(_ activity: String, step: Int, isResting: Bool) {}
  public func hasSaved(step: Int) {}
  public func limitStalls(to seconds: Double) {}

  public var isFirst: Bool { rank == 0 }

  public func waitForAll() throws { try waitForAll {} }

  /// Runs `body`, which makes no call on the group, on every rank. If it fails anywhere it fails everywhere,
  /// so that no rank goes on to wait for one that has given up. Where one stops (`StopRequest`), all do, whatever
  /// failed elsewhere: it failed because of the stop, or fails again when the run is started again.
  public func together<Value>(_ body: () throws -> Value) throws -> Value {
    let outcome = Result { try body() }
    var message = ""
    if case .failure(let error) = outcome {
      let stop = error as? StopRequest
      let kind = stop != nil ? "stop" : mayPass(error) ? "passing" : "lasting"
      message = "\(host)\n\(kind)\n\(stop?.reason ?? "\(error)")"
    }
    let messages = try allGather(Array(message.utf8))
    let failures = messages.enumerated().filter { !$1.isEmpty }.map { rank, bytes in
      let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 2)
      let part = RankFailure.Part(
        rank: rank, host: String(parts[0]), message: parts.count > 2 ? String(parts[2]) : "",
        mayPass: parts[1] == "passing")
      return (kind: parts[1], part: part)
    }
    if failures.isEmpty || count == 1 { return try outcome.get() }
    if let stop = failures.first(where: { $0.kind == "stop" }) { throw StopRequest(reason: stop.part.message) }
    throw RankFailure(parts: failures.map(\.part), ranks: count)
  }

  /// Runs `body`, which makes no call on the group and may take long, on the first rank alone; the others wait,
  /// asleep, and get nil. If it fails, it fails everywhere.
  public func onFirst<Value>(_ body: () throws -> Value) throws -> Value? {
    let outcome = Result { isFirst ? try body() : nil }
    try waitForAll()
    return try together { try outcome.get() }
  }

  /// Rank 0's bytes, of whatever number, on every rank.
  public func broadcast(_ bytes: [UInt8]) throws -> [UInt8] {
    var size = UInt64(bytes.count)
    try withUnsafeMutableBytes(of: &size) { try broadcast($0) }
    var shared = isFirst ? bytes : [UInt8](repeating: 0, count: Int(size))
    try shared.withUnsafeMutableBytes { try broadcast($0) }
    return shared
  }
}

/// Ends what takes long, where a run is to stop: nothing is wrong.
public struct StopRequest: Error, Equatable {
  /// For people, as in "signal TERM".
  public let reason: String

  public init(reason: String) { self.reason = reason }

  /// Of a rank that was not asked itself.
  public static let elsewhere = StopRequest(reason: "another rank was asked to")
}

/// An error that need not come again when the run is started again.
public protocol PassingError: Error {
  var mayPass: Bool { get }
}

public func mayPass(_ error: any Error) -> Bool { (error as? any PassingError)?.mayPass ?? false }

/// Something failed on some of the ranks; all have been told.
public struct RankFailure: PassingError, CustomStringConvertible {
  public struct Part: Sendable {
    public let rank: Int
    public let host: String
    public let message: String
    public let mayPass: Bool
  }

  public var mayPass: Bool { parts.allSatisfy(\.mayPass) }
  public let parts: [Part]
  public let ranks: Int

  public var description: String {
    // What all ranks say alike is said once.
    if parts.count == ranks, Set(parts.map(\.message)).count == 1 { return parts[0].message }
    return parts.map { "rank \($0.rank) on \($0.host): \($0.message)" }.joined(separator: "\n")
  }
}

/// A run alone in one process.
public final class SingleRank: RankGroup {
  public init() {}
  public var rank: Int { 0 }
  public var count: Int { 1 }
  public var host: String { "this machine" }
  public var waitedSeconds: Double { 0 }
  public func makeExchange(
    count: Int, precision: TrainingConfiguration.ExchangePrecision
  ) throws -> any GradientExchange { try NoExchange(count: count) }
  public func allReduce(_ values: [Double]) -> [Double] { values }
  public func allGather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
  public func send(_ values: UnsafeMutableBufferPointer<Float>, to rank: Int) { preconditionFailure("no other rank") }
  public func receive(_ values: UnsafeMutableBufferPointer<Float>, from rank: Int) {
    preconditionFailure("no other rank")
  }
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {}
  public func waitForAll(_ meanwhile: () -> Void) {}
  public func meetAfterError() -> Bool { true }
  public func makeLink() -> any RankLink { preconditionFailure("no other rank") }
  public func split(evaluators: Int) -> RankSplit {
    precondition(evaluators == 0, "there is one rank")
    return RankSplit(role: .training(self, nil))
  }
}

/// Of one rank: the sum is what it has.
public final class NoExchange: GradientExchange {
  public let buffer: FloatBuffer
  /// Throws `KernelError.outOfMemory`.
  public init(count: Int) throws { buffer = try FloatBuffer(count) }
  public func begin(_ ranges: [Range<Int>]) {}
  public func progress() {}
  public func finish() -> Double? { nil }
}
