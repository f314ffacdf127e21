import CMPI
import Glibc

/// Where the ranks of one machine meet: memory that all of them see, in which each lays some bytes open to the others.
///
/// A rank that waits there spins for a moment and then sleeps until the last one has come. Its core is then free for that
/// one, and for other programs. MPI's own calls spin for as long as it takes.
final class SharedMemoryCollectives {
  /// What ranks meet for. Ranks with different purposes wait for ever, as in MPI; the watchdog reports them.
  private enum Purpose: UInt32 { case barrier, sum, gather, broadcast }

  /// Header before the bytes that a rank publishes.
  private struct Header {
    let purpose: Purpose
    /// Of the whole message, of which a round carries a part.
    let bytes: Int
  }

  private let rank: Int
  private let count: Int
  private let memory: UnsafeMutableRawBufferPointer
  private var rounds = 0

  /// Bytes that a rank lays open in one round.
  private static let most = 1 << 16
  /// The same with what stands before them, on cache lines of their own.
  private static let stride = most + 64
  /// Those at the beginning, of the barrier.
  private static let start = 64
  /// For which a rank spins: longer than it takes to wake one up, short beside a step.
  private static let spin: Int64 = 50_000

  /// All ranks of the communicator take part. Nil, on all alike, where they are of several machines, or cannot see the same
  /// memory. Throws `MPIError`.
  static func make(_ ranks: borrowing Communicator) throws -> SharedMemoryCollectives? {
    guard try areOfOneMachine(ranks) else { return nil }
    let size = start + ranks.count * 2 * stride
    let made = ranks.rank == 0 ? SharedFile.make(size: size) : nil
    var place: [Int64] = made?.place ?? Array(repeating: -1, count: SharedFile.placeCount)
    try place.withUnsafeMutableBytes { try ranks.broadcast($0) }
    let file = made ?? SharedFile.open(place, size: size)
    var missing: [Int64] = [file == nil ? 1 : 0]
    try missing.withUnsafeMutableBufferPointer { try ranks.allReduce($0) }
    guard missing[0] == 0, let file else { return nil }
    return SharedMemoryCollectives(rank: ranks.rank, count: ranks.count, memory: file.takeMemory())
  }

  /// As MPI sees it, for which a container may be a machine.
  private static func areOfOneMachine(_ ranks: borrowing Communicator) throws -> Bool {
    var part = lockstep_mpi_comm_null()
    try checked("MPI_Comm_split_type", lockstep_mpi_split_shared(ranks.raw, Int32(ranks.rank), &part))
    defer { MPI_Comm_free(&part) }
    var count: Int32 = 0
    try checked("MPI_Comm_size", MPI_Comm_size(part, &count))
    return Int(count) == ranks.count
  }

  private init(rank: Int, count: Int, memory: UnsafeMutableRawBufferPointer) {
    self.rank = rank
    self.count = count
    self.memory = memory
  }

  deinit { munmap(memory.baseAddress, memory.count) }

  /// Waits for all.
  func barrier() { meet(.barrier, bytes: 0, UnsafeRawBufferPointer(start: nil, count: 0)) }

  /// Sums element by element over all ranks, in place.
  func allReduce<Number: AdditiveArithmetic>(_ values: UnsafeMutableBufferPointer<Number>) {
    let each = Self.most / MemoryLayout<Number>.stride
    var terms = [Number](repeating: .zero, count: count)
    for first in Swift.stride(from: 0, to: values.count, by: each) {
      let part = UnsafeMutableBufferPointer(rebasing: values[first..<min(first + each, values.count)])
      let turn = meet(.sum, bytes: values.count * MemoryLayout<Number>.stride, UnsafeRawBufferPointer(part))
      let laid = (0..<count).map { bytes(of: $0, turn).assumingMemoryBound(to: Number.self) }
      for index in part.indices {
        for rank in 0..<count { terms[rank] = laid[rank][index] }
        part[index] = Self.sum(&terms)
      }
    }
  }

  /// In the order of `MPI_Allreduce`, whose bits these are: neighbours, then neighbours of those. Of ranks that are no power of
  /// two in number, the first ones pair up before. (Open MPI sums few numbers by recursive doubling.)
  static func sum<Number: AdditiveArithmetic>(_ terms: inout [Number]) -> Number {
    var width = 1 << (Int.bitWidth - 1 - terms.count.leadingZeroBitCount)
    let extra = terms.count - width
    for index in 0..<width {
      terms[index] = index < extra ? terms[2 * index] + terms[2 * index + 1] : terms[index + extra]
    }
    while width > 1 {
      width /= 2
      for index in 0..<width { terms[index] = terms[2 * index] + terms[2 * index + 1] }
    }
    return terms[0]
  }

  /// What every rank brought, in rank order.
  func allGather(_ own: [UInt8]) -> [[UInt8]] {
    var all = [[UInt8]](repeating: [], count: count)
    own.withUnsafeBytes { own in
      var (first, longest) = (0, 0)
      repeat {
        let turn = meet(.gather, bytes: own.count, Self.part(of: own, from: first))
        for rank in 0..<count {
          let whole = header(of: rank, turn).pointee.bytes
          longest = max(longest, whole)
          if whole > first {
            all[rank] += UnsafeRawBufferPointer(
              start: bytes(of: rank, turn), count: min(whole - first, Self.most))
          }
        }
        first += Self.most
      } while first < longest
    }
    return all
  }

  /// Rank 0's bytes, everywhere.
  func broadcast(_ whole: UnsafeMutableRawBufferPointer) {
    for first in Swift.stride(from: 0, to: whole.count, by: Self.most) {
      let part = Self.part(of: UnsafeRawBufferPointer(whole), from: first)
      let turn = meet(
        .broadcast, bytes: whole.count, rank == 0 ? part : UnsafeRawBufferPointer(rebasing: part.prefix(0)))
      if rank > 0 {
        UnsafeMutableRawBufferPointer(rebasing: whole[first..<first + part.count])
          .copyMemory(from: UnsafeRawBufferPointer(start: bytes(of: 0, turn), count: part.count))
      }
    }
  }

  // MARK: - Rounds

  /// Lays bytes open and waits until all have. Returns where the bytes of this round are: turns change, so that what one still
  /// reads is not written over by another, which is a round ahead at most.
  @discardableResult
  private func meet(_ purpose: Purpose, bytes: Int, _ part: UnsafeRawBufferPointer) -> Int {
    let turn = rounds % 2
    rounds += 1
    header(of: rank, turn).initialize(to: Header(purpose: purpose, bytes: bytes))
    if let from = part.baseAddress { self.bytes(of: rank, turn).copyMemory(from: from, byteCount: part.count) }
    let place = memory.baseAddress!.assumingMemoryBound(to: lockstep_mpi_meeting.self)
    lockstep_mpi_meet(place, UInt32(count), Self.spin)
    Processors.goHome()
    while (0..<count).contains(where: { header(of: $0, turn).pointee.purpose != purpose }) { pause() }
    return turn
  }

  private static func part(of whole: UnsafeRawBufferPointer, from first: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: whole[min(first, whole.count)..<min(first + most, whole.count)])
  }

  private func header(of rank: Int, _ turn: Int) -> UnsafeMutablePointer<Header> {
    (memory.baseAddress! + Self.start + (2 * rank + turn) * Self.stride).assumingMemoryBound(to: Header.self)
  }

  private func bytes(of rank: Int, _ turn: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(header(of: rank, turn)) + 64
  }
}
