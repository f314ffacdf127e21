import Daemon
import Training

/// Sums over all ranks, long ranges and short ones; what was not begun stays as it is. By shared memory and by messages.
func checkExchanges(_ group: MPIRankGroup) throws {
  try checkExchange(group, .single)
  let senders = try MPIRankGroup(sharesMemory: false)
  try checkExchange(senders, .single)
  try checkRounding(senders)
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
      check(abs(try group.sum([own])[0] / whole - 1) < 1e-6, "the squares' sum is wrong", rank)
    }
    let others = Array(20_000..<30_003) + short.flatMap { Array($0.upperBound..<$0.upperBound + 60) }
    check(
      others.allSatisfy { exchange.buffer[$0] == Float($0 % 1000 * (rank + round)) }, "other floats were changed", rank)
    try group.waitForAll()
  }
}
