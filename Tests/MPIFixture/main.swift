// Run by MPITests under a real mpirun: each check is made on every rank; what fails is printed, and ends all.
import MPIRanks
import Glibc
import MPI
import Training

func check(_ holds: Bool, _ what: String, _ rank: Int) {
  guard !holds else { return }
  print("rank \(rank): \(what)")
  World.abort(status: 3)
}

let status = MPIProgram.run("fixture") { group in
  let (rank, count) = (group.rank, group.count)

  // Sums have the same bits everywhere, in pieces that travel at the same time.
  try checkExchanges(group)
  check(try group.allReduce([Double(rank), 1]) == [Double(count * (count - 1) / 2), Double(count)], "doubles", rank)

  // Ranks bring different amounts, some nothing.
  let brought = try group.allGather(Array(repeating: UInt8(rank), count: rank * 3))
  check(brought == (0..<count).map { Array(repeating: UInt8($0), count: $0 * 3) }, "gather", rank)

  var word: [UInt8] = rank == 0 ? Array("hello".utf8) : [0, 0, 0, 0, 0]
  try word.withUnsafeMutableBytes { try group.broadcast($0) }
  check(word == Array("hello".utf8), "broadcast", rank)

  if rank == 0 { usleep(200_000) }
  try group.waitForAll()

  try checkMeetings(group, inMemory: true)
  try checkMeetings(MPIRankGroup(ranksOfMachine: 1), inMemory: false)

  // What fails on one rank fails on all, and says whose it was.
  struct Spilt: Error, CustomStringConvertible { let description = "milk" }
  do {
    try group.together { if rank == count - 1 && count > 1 { throw Spilt() } }
    check(count == 1, "an error was not shared", rank)
  } catch let failure as RankFailure {
    check(failure.parts.map(\.rank) == [count - 1] && failure.parts[0].message == "milk", "\(failure)", rank)
  }
  let answer = try group.together { rank * 2 }
  check(answer == rank * 2, "together gave another's result", rank)

  switch CommandLine.arguments.dropFirst().first {
  case "fail-alike": throw Spilt()
  case "not-a-number":
    try checkSkipping(group, times: 1)
    try checkSkipping(group, times: 9)
  case "learn": try checkLearning(group)
  case "replicas-differ": try checkComparison(group)
  case "packed": try checkPackedRows(group)
  case "sleep": try checkSleep(group)
  case "home": try checkHome(group)
  case "deadlock": try deadlock(group)
  case "mismatch": try mismatch(group)
  case "freeze-first": try freeze(group, rank: 0)
  case "freeze-last": try freeze(group, rank: count - 1)
  case "fail-alone": if rank == count - 1 { throw Spilt() } else { _ = try group.allReduce([1]) }
  default: break
  }
  if rank == 0 { print("all is well on \(count) ranks") }
  return 0
}
exit(status)
