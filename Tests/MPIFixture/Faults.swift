import MPIRanks
import Glibc
import Kernels
import Networks
import Training

/// An exchange into which one rank brings a number that is none.
private final class FaultyExchange: GradientExchange {
  private let exchange: any GradientExchange
  private let faulty: Range<Int>
  private var exchanges = 0

  /// `faulty` are those of its begins that do.
  init(_ exchange: any GradientExchange, faulty: Range<Int>) {
    self.exchange = exchange
    self.faulty = faulty
  }

  var buffer: FloatBuffer { exchange.buffer }
  func begin(_ ranges: [Range<Int>]) throws {
    if faulty.contains(exchanges) { buffer[ranges[0].lowerBound + ranges[0].count / 2] = .nan }
    exchanges += 1
    try exchange.begin(ranges)
  }
  func progress() throws { try exchange.progress() }
  func finish() throws -> Double? { try exchange.finish() }
}

/// The ranks of the job, one of which brings a number that is none into the exchange, or leaves out a sum.
private final class FaultyRanks: RankGroup {
  private let group: MPIRankGroup
  private let faultyRank: Int
  private let faultyExchanges: Range<Int>
  private let skippedSum: Int?
  private var sums = 0

  init(_ group: MPIRankGroup, rank: Int, exchanges: Range<Int> = 0..<0, skippedSum: Int? = nil) {
    self.group = group
    faultyRank = rank
    faultyExchanges = exchanges
    self.skippedSum = skippedSum
  }

  var rank: Int { group.rank }
  var count: Int { group.count }
  var host: String { group.host }
  var waitedSeconds: Double { 0 }
  func meetAfterError() -> Bool { group.meetAfterError() }
  func split(evaluators: Int) throws -> RankSplit { try group.split(evaluators: evaluators) }

  func makeExchange(
    count: Int, precision: TrainingConfiguration.ExchangePrecision
  ) throws -> any GradientExchange {
    FaultyExchange(
      try group.makeExchange(count: count, precision: precision),
      faulty: rank == faultyRank ? faultyExchanges : 0..<0)
  }
  func allReduce(_ values: [Double]) throws -> [Double] {
    sums += 1
    return rank == faultyRank && sums == skippedSum ? values : try group.allReduce(values)
  }
  func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] { try group.allGather(bytes) }
  func send(_ values: UnsafeMutableBufferPointer<Float>, to rank: Int) throws { try group.send(values, to: rank) }
  func receive(_ values: UnsafeMutableBufferPointer<Float>, from rank: Int) throws {
    try group.receive(values, from: rank)
  }
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer) throws { try group.broadcast(bytes) }
  func waitForAll(_ meanwhile: () -> Void) throws { try group.waitForAll(meanwhile) }
  func makeLink() throws -> any RankLink { try group.makeLink() }
}

private func makeTrainer(_ group: any RankGroup) throws -> Trainer {
  var configuration = RunConfiguration()
  configuration.model = ModelConfiguration(embeddingSize: 6, hiddenSizes: [8])
  configuration.training.batchSize = 6
  configuration.training.sequenceLength = 5
  configuration.training.epochs = 3
  configuration.training.checksumSteps = 1
  let text = (0..<600).map { Int32($0 * $0 % 11) }
  let trainer = try Trainer(configuration, vocabularySize: 11, source: text, group: group)
  try trainer.begin()
  return trainer
}

/// A gradient that is no number on the last rank alone, in the steps from the third on: all ranks skip alike; nine in a
/// row are too many.
func checkSkipping(_ group: MPIRankGroup, times: Int) throws {
  let ranks = FaultyRanks(group, rank: group.count - 1, exchanges: 2..<2 + times)
  let trainer = try makeTrainer(ranks)
  var before: [Float] = []
  do {
    for step in 1...12 {
      before = Array(trainer.parameters.buffer.values)
      let states = try trainer.gatherRowStates()
      let report = try trainer.step()
      let isFaulty = (3..<3 + times).contains(step)
      check(report.isSkipped == isFaulty, "step \(step) was \(report.isSkipped ? "" : "not ")skipped", group.rank)
      let now = Array(trainer.parameters.buffer.values)
      check((now == before) == isFaulty, "parameters after step \(step)", group.rank)
      if isFaulty { check(try trainer.gatherRowStates() == states, "lane states after step \(step)", group.rank) }
      check(now.allSatisfy(\.isFinite), "a parameter is not a number", group.rank)
    }
    check(times == 1 && trainer.progress.skippedSteps == 1, "nine bad steps did not end the run", group.rank)
  } catch let error as TrainingError {
    check(times > 1 && "\(error)".contains("step 7"), "\(error)", group.rank)
    check(Array(trainer.parameters.buffer.values) == before, "parameters of the stopped run", group.rank)
  }
}

/// The last rank leaves out a sum that all others make.
func deadlock(_ group: MPIRankGroup) throws {
  let trainer = try makeTrainer(FaultyRanks(group, rank: group.count - 1, skippedSum: 5))
  group.limitStalls(to: 8)
  for step in 0..<20 {
    group.does("training", step: step, isResting: false)
    _ = try trainer.step()
    _ = try group.broadcast([1])
  }
}

/// A rank is stopped as SIGSTOP stops it, in the middle of training.
func freeze(_ group: MPIRankGroup, rank: Int) throws {
  let trainer = try makeTrainer(group)
  group.limitStalls(to: 8)
  for step in 0..<20 {
    group.does("training", step: step, isResting: false)
    if step == 5 && group.rank == rank {
      sleep(2)  // until all have told of themselves
      kill(getpid(), SIGSTOP)
    }
    _ = try trainer.step()
  }
}

/// One bit of one parameter of the last rank changes.
func checkComparison(_ group: MPIRankGroup) throws {
  let trainer = try makeTrainer(group)
  _ = try trainer.step()
  if group.rank == group.count - 1 {
    let value = trainer.parameters.buffer[7]
    trainer.parameters.buffer[7] = Float(bitPattern: value.bitPattern ^ 1)
  }
  do {
    _ = try trainer.step()
    check(false, "replicas that differ were not found", group.rank)
  } catch let error as TrainingError {
    check(error == .replicasDiffer(step: 2, ranks: [group.count - 1]), "\(error)", group.rank)
  }
}
