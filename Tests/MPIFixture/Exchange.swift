import MPIRanks
import Networks
import Training

/// Sums over all ranks, long ranges and short ones; what was not begun stays as it is. By shared memory, by messages, and
/// by both: on machines of two ranks, of which the last may have one alone.
func checkExchanges(_ group: MPIRankGroup) throws {
  let senders = try MPIRankGroup(ranksOfMachine: 1)
  let pairs = try MPIRankGroup(ranksOfMachine: 2)
  for ranks in [group, senders, pairs] { try checkExchange(ranks, .single) }
  try checkRounding(senders)
  if group.count > 2 { try checkRounding(pairs) }  // two are one machine, where nothing is rounded
}

/// However the ranks exchange, they learn what one rank alone does, as far as rounding lets them: with rows told apart or
/// not, and sent early or late, which changes no bit.
func checkLearning(_ group: MPIRankGroup) throws {
  try checkLearning(group, tiedWeights: false)
  try checkLearning(group, tiedWeights: true)
}

private func checkLearning(_ group: MPIRankGroup, tiedWeights: Bool) throws {
  func learned(_ ranks: any RankGroup, touchedRows: Bool, overlap: Bool) throws -> [Float] {
    try parametersLearned(ranks, tiedWeights: tiedWeights, touchedRows: touchedRows, overlap: overlap)
  }
  let alone = try learned(SingleRank(), touchedRows: false, overlap: false)
  for ranks in [group, try MPIRankGroup(ranksOfMachine: 1), try MPIRankGroup(ranksOfMachine: 2)] {
    for touchedRows in [false, true] {
      let late = try learned(ranks, touchedRows: touchedRows, overlap: false)
      let early = try learned(ranks, touchedRows: touchedRows, overlap: true)
      check(early == late, "what is sent early has other bits (touched rows: \(touchedRows))", group.rank)
      let most = zip(alone, early).map { abs($0 - $1) }.max() ?? 0
      check(most < 1e-5, "a parameter is off by \(most) (touched rows: \(touchedRows))", group.rank)
    }
  }
}

/// Parameters after some steps. Most rows of the embedding are read by some of the ranks only, or by none.
private func parametersLearned(
  _ group: any RankGroup, tiedWeights: Bool, touchedRows: Bool, overlap: Bool
) throws -> [Float] {
  let vocabularySize = 300
  var configuration = RunConfiguration()
  configuration.model = ModelConfiguration(embeddingSize: 32, hiddenSizes: [32, 32], tiedWeights: tiedWeights)
  configuration.optimizer = OptimizerConfiguration(kind: .sgd, learningRate: 1)
  configuration.training.batchSize = 12
  configuration.training.sequenceLength = 5
  configuration.training.bucketSize = 5000
  configuration.training.checksumSteps = 1
  configuration.training.touchedRows = touchedRows
  configuration.training.overlap = overlap
  let text = (0..<601).map { Int32($0 * ($0 * 7 + 1) % vocabularySize) }
  let trainer = try Trainer(configuration, vocabularySize: vocabularySize, source: text, group: group)
  try trainer.begin()
  for _ in 0..<6 { _ = try trainer.step() }
  let learned = Array(trainer.parameters.buffer.values)
  try group.waitForAll()
  return learned
}

/// Halves have 8 digits: small whole numbers and their sums are exact, others are off by at most one part in 256.
private func checkRounding(_ group: MPIRankGroup) throws {
  let exchange = try group.makeExchange(count: 10_000, precision: .half)
  for index in 0..<10_000 { exchange.buffer[index] = index < 30 ? Float(index) : Float(index) * 1e30 / 7 }
  try exchange.begin([0..<10_000])
  check(try exchange.finish() == nil, "what is sent is not dealt out", group.rank)
  for index in 0..<10_000 {
    let sum = (index < 30 ? Float(index) : Float(index) * 1e30 / 7) * Float(group.count)
    let isRight = index < 30 ? exchange.buffer[index] == sum : abs(exchange.buffer[index] / sum - 1) <= 0x1p-7
    check(isRight || group.count == 1, "rounded sum \(index): \(exchange.buffer[index]), not \(sum)", group.rank)
  }
}

private func checkExchange(_ group: MPIRankGroup, _ precision: TrainingConfiguration.ExchangePrecision) throws {
  let exchange = try group.makeExchange(count: 100_000, precision: precision)
  let (rank, count) = (group.rank, group.count)
  for round in 1...3 {
    for index in 0..<100_000 { exchange.buffer[index] = Float(index % 1000 * (rank + round)) }
    try exchange.begin([50_000..<100_000])
    try exchange.progress()
    let short = stride(from: 0, to: 20_000, by: 100).map { $0..<$0 + 40 }
    try exchange.begin([30_003..<49_999] + short)
    let squares = try exchange.finish()
    let factor = (0..<count).reduce(0) { $0 + $1 + round }
    let summed = Array(50_000..<100_000) + Array(30_003..<49_999) + short.flatMap { Array($0) }
    check(summed.allSatisfy { exchange.buffer[$0] == Float($0 % 1000 * factor) }, "a sum of floats is wrong", rank)
    if let own = squares {
      let whole = summed.reduce(0.0) { $0 + Double(exchange.buffer[$1]) * Double(exchange.buffer[$1]) }
      check(abs(try group.allReduce([own])[0] / whole - 1) < 1e-6, "the squares' sum is wrong", rank)
    }
    let others = Array(20_000..<30_003) + short.flatMap { Array($0.upperBound..<$0.upperBound + 60) }
    check(
      others.allSatisfy { exchange.buffer[$0] == Float($0 % 1000 * (rank + round)) }, "other floats were changed", rank)
    try group.waitForAll()
  }
}
