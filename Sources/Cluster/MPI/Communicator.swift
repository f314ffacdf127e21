import CMPI
import Glibc

/// A number type that MPI can send. Each type says its own, so that no other can be passed for it.
public protocol MPINumber {
  static var datatype: Datatype { get }
  static var sum: Operation { get throws }
}

extension MPINumber {
  public static var sum: Operation { Operation(raw: lockstep_mpi_sum()) }
}

/// An `MPI_Op`.
public struct Operation: @unchecked Sendable {
  let raw: MPI_Op
}

/// An `MPI_Datatype`. All MPI handles look alike to Swift; this one cannot be mistaken for an operation.
public struct Datatype {
  let raw: MPI_Datatype
}

extension Float: MPINumber {
  public static var datatype: Datatype { Datatype(raw: lockstep_mpi_float()) }
}
extension Double: MPINumber {
  public static var datatype: Datatype { Datatype(raw: lockstep_mpi_double()) }
}
extension Int64: MPINumber {
  public static var datatype: Datatype { Datatype(raw: lockstep_mpi_int64()) }
}
/// The upper half of a Float (bfloat16), as it travels.
public struct HalfFloat: MPINumber, Sendable {
  public let bits: UInt16
  public static var datatype: Datatype { Datatype(raw: lockstep_mpi_uint16()) }
  public static var sum: Operation { get throws { try sumRounded.get() } }

  /// Rounded to nearest, ties to even; what is not a number stays so.
  @inline(__always)
  public init(_ value: Float) {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16
    self.bits = UInt16(truncatingIfNeeded: bits & 0x7FFF_FFFF > 0x7F80_0000 ? bits >> 16 | 0x40 : rounded)
  }

  @inline(__always)
  public var value: Float { Float(bitPattern: UInt32(bits) << 16) }

  /// MPI knows no such numbers, nor how to add them.
  private static let sumRounded: Result<Operation, MPIError> = {
    var operation: MPI_Op?
    let code = MPI_Op_create(
      { from, into, count, _ in
        guard let from, let into, let count else { return }
        let a = from.assumingMemoryBound(to: HalfFloat.self)
        let b = into.assumingMemoryBound(to: HalfFloat.self)
        for index in 0..<Int(count.pointee) { b[index] = HalfFloat(a[index].value + b[index].value) }
      }, 1, &operation)
    guard code == MPI_SUCCESS, let operation else {
      return .failure(MPIError(call: "MPI_Op_create", code: code, message: "it made no operation"))
    }
    return .success(Operation(raw: operation))
  }()
}
extension UInt8: MPINumber {
  public static var datatype: Datatype { Datatype(raw: lockstep_mpi_byte()) }
}

/// An operation under way. Wait for it: one that is dropped unfinished is a bug, and traps.
public struct Request: ~Copyable {
  private var raw: MPI_Request
  private let call: StaticCall
  private let bytes: Int

  /// `bytes`: what travels.
  fileprivate init(
    _ call: StaticCall, bytes: Int, _ start: (UnsafeMutablePointer<MPI_Request?>) throws -> Int32
  ) throws {
    var request: MPI_Request? = lockstep_mpi_request_null()
    try checked("\(call.name)", start(&request))
    guard let request else { throw MPIError(call: "\(call.name)", code: -1, message: "it gave no request") }
    raw = request
    self.call = call
    self.bytes = bytes
  }

  deinit { precondition(raw == lockstep_mpi_request_null(), "\(call.name) was started and never waited for") }

  /// Whether it is done; moves it along (`MPI_Test`).
  public mutating func isDone() throws -> Bool {
    var done: Int32 = 0
    var request: MPI_Request? = raw
    let code = MPI_Test(&request, &done, lockstep_mpi_status_ignore())
    // What failed is no longer under way.
    raw = code == MPI_SUCCESS ? request ?? lockstep_mpi_request_null() : lockstep_mpi_request_null()
    try checked("MPI_Test of \(call.name)", code)
    return done != 0
  }

  /// Waits for it, for long asleep: `MPI_Wait` would burn its core. `meanwhile` is called between two looks.
  public mutating func wait(_ meanwhile: () -> Void = {}) throws {
    let patience = Backoff(bytes: bytes)
    CallLog.begin(call)
    defer { CallLog.end() }
    while !(try isDone()) {
      meanwhile()
      patience.pause()
    }
  }
}

/// A group of ranks that call its operations together, in the same order.
public struct Communicator: ~Copyable {
  let raw: MPI_Comm
  public let rank: Int
  public let count: Int
  private let calls: CallCounter
  /// Where its ranks meet without MPI.
  private var place: SharedMemoryCollectives?

  /// `name` says which ranks these are, for people.
  init(taking raw: MPI_Comm?, name: StaticString) throws {
    guard let raw else { throw MPIError(call: "MPI_Comm_dup", code: -1, message: "it gave no communicator") }
    var rank: Int32 = 0
    var count: Int32 = 0
    try checked("MPI_Comm_rank", MPI_Comm_rank(raw, &rank))
    try checked("MPI_Comm_size", MPI_Comm_size(raw, &count))
    self.raw = raw
    calls = CallCounter.of(name)
    self.rank = Int(rank)
    self.count = Int(count)
  }

  deinit {
    var handle: MPI_Comm? = raw
    MPI_Comm_free(&handle)
  }

  /// The same ranks, which from now on sum, gather, broadcast and wait in memory that all of them see, where there is such
  /// memory; all take part.
  public consuming func meetingInMemory() throws -> Communicator {
    if count > 1 {
      let made = try SharedMemoryCollectives.make(self)
      place = made
    }
    return self
  }

  /// Sums element by element over all ranks, in place (`MPI_Allreduce`).
  public func allReduce<Number: MPINumber & AdditiveArithmetic>(_ values: UnsafeMutableBufferPointer<Number>) throws {
    if let place { return calls.next("a sum in shared memory").during { place.allReduce(values) } }
    // Open MPI 4.1.1 sums fewer numbers than there are ranks wrongly.
    var sent = values + Array(repeating: .zero, count: max(0, count - values.count))
    try sent.withUnsafeMutableBufferPointer { sent in
      var request = try startSum(sent)
      try request.wait()
    }
    _ = values.update(fromContentsOf: sent.prefix(values.count))
  }

  /// Starts such a sum (`MPI_Iallreduce`). The values are not to be touched until it is done; it moves only
  /// while some MPI call is made.
  public func startSum<Number: MPINumber>(_ values: UnsafeMutableBufferPointer<Number>) throws -> Request {
    try Request(calls.next("MPI_Iallreduce"), bytes: values.count * MemoryLayout<Number>.stride) {
      MPI_Iallreduce(
        lockstep_mpi_in_place(), values.baseAddress, try Self.count(values.count), Number.datatype.raw,
        try Number.sum.raw, raw, $0)
    }
  }

  /// What every rank brought, in rank order, on every rank (`MPI_Iallgatherv`).
  public func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    if let place { return calls.next("a gather in shared memory").during { place.allGather(bytes) } }
    var sizes = [Int64](repeating: 0, count: count)
    sizes[rank] = Int64(bytes.count)
    try sizes.withUnsafeMutableBufferPointer { try allReduce($0) }
    let counts = try sizes.map { try Self.count(Int($0)) }
    let total = try Self.count(sizes.reduce(0) { $0 + Int($1) })
    let offsets = counts.indices.map { counts[..<$0].reduce(0, +) }
    var all = [UInt8](repeating: 0, count: Int(total))
    // Read and written until it is done.
    try bytes.withUnsafeBufferPointer { bytes in
      try counts.withUnsafeBufferPointer { counts in
        try offsets.withUnsafeBufferPointer { offsets in
          try all.withUnsafeMutableBufferPointer { all in
            var request = try Request(calls.next("MPI_Iallgatherv"), bytes: all.count) {
              MPI_Iallgatherv(
                bytes.baseAddress, counts[rank], UInt8.datatype.raw, all.baseAddress, counts.baseAddress,
                offsets.baseAddress, UInt8.datatype.raw, raw, $0)
            }
            try request.wait()
          }
        }
      }
    }
    return counts.indices.map { Array(all[Int(offsets[$0])..<Int(offsets[$0] + counts[$0])]) }
  }

  /// Rank 0's bytes, everywhere (`MPI_Ibcast`, in pieces that its 32-bit count can say).
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws {
    if let place { return calls.next("a broadcast in shared memory").during { place.broadcast(bytes) } }
    let piece = 1 << 30
    for start in stride(from: 0, to: bytes.count, by: piece) {
      let part = bytes[start..<min(start + piece, bytes.count)]
      var request = try startBroadcast(
        UnsafeMutableRawBufferPointer(rebasing: part).assumingMemoryBound(to: UInt8.self))
      try request.wait()
    }
  }

  /// Starts handing rank 0's values to all (`MPI_Ibcast`). They are not to be touched until it is done.
  public func startBroadcast<Number: MPINumber>(_ values: UnsafeMutableBufferPointer<Number>) throws -> Request {
    try Request(calls.next("MPI_Ibcast"), bytes: values.count * MemoryLayout<Number>.stride) {
      MPI_Ibcast(values.baseAddress, try Self.count(values.count), Number.datatype.raw, 0, raw, $0)
    }
  }

  /// Starts sending to another rank (`MPI_Isend`). The values are not to be touched until it is done.
  public func startSend<Number: MPINumber>(
    _ values: UnsafeMutableBufferPointer<Number>, to rank: Int
  ) throws -> Request {
    try Request(calls.nextOfTwo("MPI_Isend"), bytes: values.count * MemoryLayout<Number>.stride) {
      MPI_Isend(values.baseAddress, try Self.count(values.count), Number.datatype.raw, Int32(rank), 0, raw, $0)
    }
  }

  /// How many bytes the next message of another rank has; nil while none is there (`MPI_Iprobe`).
  public func messageSize(from rank: Int) throws -> Int? {
    var isThere: Int32 = 0
    var status = MPI_Status()
    try checked("MPI_Iprobe", MPI_Iprobe(Int32(rank), 0, raw, &isThere, &status))
    guard isThere != 0 else { return nil }
    var count: Int32 = 0
    try checked("MPI_Get_count", MPI_Get_count(&status, UInt8.datatype.raw, &count))
    return Int(count)
  }

  /// Starts receiving from another rank (`MPI_Irecv`).
  public func startReceive<Number: MPINumber>(
    _ values: UnsafeMutableBufferPointer<Number>, from rank: Int
  ) throws -> Request {
    try Request(calls.nextOfTwo("MPI_Irecv"), bytes: values.count * MemoryLayout<Number>.stride) {
      MPI_Irecv(
        values.baseAddress, try Self.count(values.count), Number.datatype.raw, Int32(rank), 0, raw, $0)
    }
  }

  /// The ranks that name the same colour, in their order here (`MPI_Comm_split`); nil for those that name none. `name` says
  /// which they are, for people.
  public func split(color: Int?, name: StaticString) throws -> Communicator? {
    var part = lockstep_mpi_comm_null()
    try calls.next("MPI_Comm_split").make {
      MPI_Comm_split(raw, color.map(Int32.init) ?? lockstep_mpi_undefined(), Int32(rank), &part)
    }
    if part == lockstep_mpi_comm_null() { return nil }
    let made = try Communicator(taking: part, name: name)
    return made
  }

  /// What those of a machine are called, on every machine.
  public static let machineName: StaticString = "the ranks of one machine"

  /// The ranks that can share memory with this one, those of its machine (`MPI_Comm_split_type`).
  public func ofThisMachine() throws -> Communicator {
    var part = lockstep_mpi_comm_null()
    try calls.next("MPI_Comm_split_type").make { lockstep_mpi_split_shared(raw, Int32(rank), &part) }
    return try Communicator(taking: part, name: Self.machineName)
  }

  /// Waits for all (`MPI_Ibarrier`).
  public func barrier() throws {
    if let place { return calls.next("a barrier in shared memory").during { place.barrier() } }
    var request = try startBarrier()
    try request.wait()
  }

  /// Starts such a wait.
  public func startBarrier() throws -> Request {
    try Request(calls.next("MPI_Ibarrier"), bytes: 0) { MPI_Ibarrier(raw, $0) }
  }

  /// Sends to another rank (`MPI_Isend`), which calls `receive` with as many numbers.
  public func send<Number: MPINumber>(_ values: UnsafeMutableBufferPointer<Number>, to rank: Int) throws {
    var request = try startSend(values, to: rank)
    try request.wait()
  }

  /// Receives from another rank (`MPI_Irecv`).
  public func receive<Number: MPINumber>(_ values: UnsafeMutableBufferPointer<Number>, from rank: Int) throws {
    var request = try startReceive(values, from: rank)
    try request.wait()
  }

  private static func count(_ value: Int) throws -> Int32 {
    guard let count = Int32(exactly: value) else {
      throw MPIError(
        call: "MPI", code: -1, message: "a message of \(value) elements; expected at most \(Int32.max)")
    }
    return count
  }
}
