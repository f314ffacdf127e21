import Kernels
import MPI
import Training

/// Sums gradients over the ranks of an MPI job.
///
/// Ranks of one machine share their gradients in memory. Each rank sums one part and writes the sum to all: nothing
/// is sent. Between machines one rank of each, its leader, sums with the others (`MPI_Iallreduce`). Where every rank has
/// a machine of its own, that begins at once and may travel while lower layers still go backward.
final class MPIGradientExchange: GradientExchange {
  let buffer: FloatBuffer
  /// What the ranks of this machine share; nil where no machine has more than one.
  private(set) var shared: SharedMemory?
  private let machine: Communicator
  /// One rank of each machine, on those; or every rank.
  private let leaders: Communicator?
  private let machines: Int
  /// Ranks that send.
  private let senders: Int
  private var begun: [Range<Int>] = []
  private var travelling: [Journey] = []

  /// A sum on its way, and what to do when it has arrived.
  private final class Journey {
    var request: Request
    let unpack: () -> Void
    init(_ request: consuming Request, unpack: @escaping () -> Void = {}) {
      self.request = request
      self.unpack = unpack
    }
  }

  private let packing = PackingMemory()

  /// Memory of packed copies: taken and given back at each step.
  private final class PackingMemory {
    private var spare: [UnsafeMutableRawBufferPointer] = []

    func take(bytes: Int) -> UnsafeMutableRawBufferPointer {
      let fitting = spare.indices.filter { spare[$0].count >= bytes }
      if let index = fitting.min(by: { spare[$0].count < spare[$1].count }) { return spare.remove(at: index) }
      // Some more, since rows are a few more or fewer at each step.
      return .allocate(byteCount: 1 << (Int.bitWidth - (bytes - 1).leadingZeroBitCount), alignment: 64)
    }

    func giveBack(_ memory: UnsafeMutableRawBufferPointer) { spare.append(memory) }

    deinit { for memory in spare { memory.deallocate() } }
  }

  private let precision: TrainingConfiguration.ExchangePrecision
  /// Told the seconds that each `finish` takes.
  private let waited: (Double) -> Void

  /// All ranks of the communicator take part. `ranksOfMachine`: as if so many each were those of a machine. Throws
  /// `KernelError` and `MPIError`.
  init(
    _ all: borrowing Communicator, count: Int, precision: TrainingConfiguration.ExchangePrecision,
    ranksOfMachine: Int?, waited: @escaping (Double) -> Void
  ) throws {
    self.waited = waited
    self.precision = precision
    machine = try Self.machine(of: all, ranksOfMachine).meetingInMemory()
    let isLeader = machine.rank == 0
    // How many machines there are, and how many ranks share theirs.
    var numbers = [Int64](repeating: 0, count: 2)
    numbers[0] = isLeader ? 1 : 0
    numbers[1] = machine.count > 1 ? 1 : 0
    try numbers.withUnsafeMutableBufferPointer { try all.allReduce($0) }
    machines = Int(numbers[0])
    shared = numbers[1] == 0 ? nil : try Self.share(machine, all, count: count)
    leaders = try all.split(
      color: shared == nil || isLeader ? 0 : nil, name: "one rank of each machine")
    senders = shared == nil ? all.count : machines
    // Last, since it may fail on one rank alone, where the others wait for no one any more.
    if let shared {
      buffer = FloatBuffer(shared.parts[machine.rank], count: count, of: shared)
    } else {
      buffer = try FloatBuffer(count)
    }
  }

  deinit {
    // After an error, what is on its way is so for as long as the process is.
    for journey in travelling { _ = Unmanaged.passRetained(journey) }
    if !travelling.isEmpty { _ = Unmanaged.passRetained(buffer) }
  }

  private static func machine(of all: borrowing Communicator, _ ranks: Int?) throws -> Communicator {
    guard let ranks else { return try all.ofThisMachine() }
    guard let part = try all.split(color: all.rank / ranks, name: Communicator.machineName) else {
      preconditionFailure("every rank has a colour")
    }
    return part
  }

  /// Nil where some machine has too little memory to share: then all is sent.
  private static func share(
    _ machine: borrowing Communicator, _ all: borrowing Communicator, count: Int
  ) throws -> SharedMemory? {
    // Looked at before, since Open MPI, where there is too little, lets the ranks wait for each other.
    var missing = [Int64(SharedMemory.hasRoom(for: count, ranks: machine.count) ? 0 : 1)]
    try missing.withUnsafeMutableBufferPointer { try all.allReduce($0) }
    return missing[0] == 0 ? try SharedMemory(machine, count: count) : nil
  }

  func begin(_ ranges: [Range<Int>]) throws {
    if shared != nil { begun += ranges } else if senders > 1 { try send(ranges) }
  }

  func progress() throws {
    for journey in travelling where !(try journey.request.isDone()) { return }
  }

  func finish() throws -> Double? {
    let clock = ContinuousClock()
    let begin = clock.now
    defer { waited((clock.now - begin) / .seconds(1)) }
    guard let shared else {
      try arrive()
      return nil
    }
    defer { begun.removeAll(keepingCapacity: true) }
    try meet(shared)
    let squares = sumOwnParts(shared)
    try meet(shared)
    if machines == 1 { return squares }
    if machine.rank == 0 {
      try send(begun)
      try arrive()
    }
    try meet(shared)
    copyFromLeader(shared)
    try meet(shared)
    return nil
  }

  // MARK: - Within a machine

  private func meet(_ shared: SharedMemory) throws {
    try shared.synchronize()
    try machine.barrier()
    try shared.synchronize()
  }

  /// This rank's part of what was begun, summed in the order of ranks: into all, or into the leader's where it travels on.
  /// Returns the sum of its squares.
  private func sumOwnParts(_ shared: SharedMemory) -> Double {
    var squares = 0.0
    forOwnParts { own in
      // In blocks that stay in the cache.
      for start in stride(from: own.lowerBound, to: own.upperBound, by: 2048) {
        let block = start..<min(start + 2048, own.upperBound)
        sumParts(shared.parts, block, everywhere: machines == 1)
        if machines == 1 { squares += sumOfSquares(shared.parts[0] + start, count: block.count) }
      }
    }
    return squares
  }

  private func copyFromLeader(_ shared: SharedMemory) {
    guard machine.rank > 0 else { return }
    for range in begun {
      (buffer.pointer + range.lowerBound).update(from: shared.parts[0] + range.lowerBound, count: range.count)
    }
  }

  /// Deals what was begun to the ranks of this machine: the floats of long ranges, short ranges whole.
  private func forOwnParts(_ body: (Range<Int>) -> Void) {
    for (index, range) in begun.enumerated() {
      if range.count < 1 << 14 {
        if index % machine.count == machine.rank { body(range) }
      } else {
        let lines = (range.count + 15) / 16
        let first = range.lowerBound + lines * machine.rank / machine.count * 16
        let last = range.lowerBound + lines * (machine.rank + 1) / machine.count * 16
        body(first..<min(last, range.upperBound))
      }
    }
  }

  // MARK: - Between machines

  private func send(_ ranges: [Range<Int>]) throws {
    switch precision {
    case .single:
      for range in ranges where range.count > Self.shortest {
        try depart {
          try $0.startSum(UnsafeMutableBufferPointer(rebasing: buffer.values[range]))
        } unpack: {
        }
      }
      // Short ones together: each message takes its time.
      let short = ranges.filter { $0.count <= Self.shortest }
      if !short.isEmpty { try send(short, as: Float.self, pack: { $0 }, unpack: { $0 }) }
    case .half: try send(ranges, as: HalfFloat.self, pack: HalfFloat.init, unpack: \.value)
    }
  }

  /// Floats of a range that is packed with others.
  private static let shortest = 1 << 12

  /// Sends copies of some ranges, of another type perhaps, one behind the other.
  private func send<Number: MPINumber>(
    _ ranges: [Range<Int>], as type: Number.Type, pack: (Float) -> Number, unpack: @escaping (Number) -> Float
  ) throws {
    let count = ranges.reduce(0) { $0 + $1.count }
    // Open MPI 4.1.1 sums fewer numbers than there are ranks wrongly.
    let sent = max(count, senders)
    let memory = packing.take(bytes: sent * MemoryLayout<Number>.stride)
    let packed = UnsafeMutableBufferPointer(rebasing: memory.bindMemory(to: Number.self)[..<sent])
    for rest in count..<sent { packed[rest] = pack(0) }
    var place = 0
    for range in ranges {
      for index in range {
        packed[place] = pack(buffer.pointer[index])
        place += 1
      }
    }
    try depart {
      try $0.startSum(packed)
    } unpack: { [buffer, packing] in
      var place = 0
      for range in ranges {
        for index in range {
          buffer.pointer[index] = unpack(packed[place])
          place += 1
        }
      }
      packing.giveBack(memory)
    }
  }

  private func depart(
    _ start: (borrowing Communicator) throws -> Request, unpack: @escaping () -> Void
  ) throws {
    switch leaders {
    case .some(let leaders): travelling.append(Journey(try start(leaders), unpack: unpack))
    case .none: preconditionFailure("only leaders send")
    }
  }

  private func arrive() throws {
    for journey in travelling {
      try journey.request.wait()
      journey.unpack()
    }
    travelling.removeAll(keepingCapacity: true)
  }
}
