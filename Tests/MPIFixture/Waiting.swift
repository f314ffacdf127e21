import CMPI
import MPIRanks
import Glibc
import MPI
import Training

/// What ranks bring arrives whole, however much it is. In shared memory a sum has the bits that `MPI_Allreduce` gives it.
func checkMeetings(_ group: MPIRankGroup, inMemory: Bool) throws {
  let (rank, count) = (group.rank, group.count)
  // Numbers whose sum depends on the order.
  func number(_ rank: Int, _ index: Int) -> Double { 1 / Double(3 + rank * 7 + index) * (index % 2 == 0 ? 1 : 1e9) }
  for length in [1, 9, 20_000] {
    let own = (0..<length).map { number(rank, $0) }
    let sums = try group.allReduce(own)
    if inMemory, length < 100 {
      var expected = own
      let status = MPI_Allreduce(
        lockstep_mpi_in_place(), &expected, Int32(length), lockstep_mpi_double(), lockstep_mpi_sum(),
        lockstep_mpi_comm_world())
      check(status == MPI_SUCCESS && sums.map(\.bitPattern) == expected.map(\.bitPattern), "bits of \(length)", rank)
    }
    let near = zip(sums, 0...).allSatisfy { sum, index in
      let whole = (0..<count).reduce(0) { $0 + number($1, index) }
      return abs(sum - whole) <= 1e-12 * whole
    }
    check(near, "a sum of \(length)", rank)
    // More than one round carries, of some ranks.
    let brought = try group.allGather(Array(repeating: UInt8(rank), count: rank * length))
    check(brought == (0..<count).map { Array(repeating: UInt8($0), count: $0 * length) }, "a gather of \(length)", rank)
    var word = (0..<7 * length).map { UInt8(truncatingIfNeeded: rank == 0 ? $0 % 251 : 0) }
    try word.withUnsafeMutableBytes { try group.broadcast($0) }
    check(word == (0..<7 * length).map { UInt8(truncatingIfNeeded: $0 % 251) }, "a broadcast of \(length)", rank)
  }
}

/// Those that wait for a rank leave their cores to others: by shared memory and by messages.
func checkSleep(_ group: MPIRankGroup) throws {
  for ranks in [group, try MPIRankGroup(ranksOfMachine: 1)] {
    var bytes: [UInt8] = [0]
    let waits: [(String, () throws -> Void)] = [
      ("a sum", { _ = try ranks.allReduce([1]) }), ("a gather", { _ = try ranks.allGather([1]) }),
      ("a broadcast", { try bytes.withUnsafeMutableBytes { try ranks.broadcast($0) } }),
      ("a barrier", { try ranks.waitForAll() }),
    ]
    for (name, wait) in waits {
      try ranks.waitForAll()
      if ranks.isFirst { usleep(400_000) }
      let begin = processorSeconds()
      try wait()
      check(processorSeconds() - begin < 0.1, "\(name) took \(processorSeconds() - begin) s of a core", ranks.rank)
    }
  }
}

/// Of this thread.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The last rank gathers where all others sum.
func mismatch(_ group: MPIRankGroup) throws {
  group.limitStalls(to: 8)
  group.does("training", step: 0, isResting: false)
  if group.rank == group.count - 1 { _ = try group.allGather([1]) } else { _ = try group.allReduce([1]) }
}

/// A rank begins at home after a meeting, wherever the system has moved it.
func checkHome(_ group: MPIRankGroup) throws {
  guard let all = Processors.allowed(to: 0), all.count > 1 else { return check(false, "one processor", group.rank) }
  let own = all.sorted()[group.rank % all.count]
  Processors.bind(to: all, home: [own])
  var atHome = 0
  for _ in 0..<20 {
    // As the system may move it.
    Processors.bind(to: all.subtracting([own]))
    Processors.bind(to: all)
    _ = try group.allReduce([1])
    if lockstep_mpi_current_processor() == Int32(own) { atHome += 1 }
  }
  // It may be moved again at once.
  check(atHome >= 15 && Processors.allowed(to: 0) == all, "\(atHome) of 20 times at home", group.rank)
}
