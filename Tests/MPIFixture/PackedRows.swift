import Kernels
import MPIRanks
import Networks
import Training

/// Sentences of 1 to 60 tokens in one batch: as many products as their tokens need, and the losses of each by itself.
func checkPackedRows(_ group: MPIRankGroup) throws {
  let model = ModelConfiguration(cell: .lstm, embeddingSize: 24, hiddenSizes: [32, 28])
  let vocabularySize = 50
  let plan = NetworkPlan(model, vocabularySize: vocabularySize)
  let parameters = try Parameters(plan.layout)
  parameters.initialize(seed: 3)
  // The longest first.
  let sentences = (1...60).reversed().map { length in
    (0...length).map { Int32(($0 * 7 + length * 3) % vocabularySize) }
  }
  let counts = (0..<60).map { step in sentences.count { $0.count - 1 > step } }
  let tokens = counts.reduce(0, +)
  let recurrent = [(24, 32), (32, 28)].reduce(0) { $0 + 4 * $1.1 * ($1.0 + $1.1) }
  let perToken = recurrent + 28 * vocabularySize

  let (losses, multiplications) = try learn(sentences, counts, plan, parameters)
  let expected = 3 * perToken * tokens
  let ratio = Double(multiplications) / Double(expected)
  check(
    abs(ratio - 1) < 0.01, "\(multiplications) multiplications, expected \(expected) of \(tokens) tokens", group.rank)
  for (sentence, loss) in zip(sentences, losses) {
    let alone = try learn([sentence], Array(repeating: 1, count: sentence.count - 1), plan, parameters).losses[0]
    check(
      abs(loss - alone) < 1e-6 * alone, "a sentence of \(sentence.count - 1) tokens: \(loss), by itself \(alone)",
      group.rank)
  }
}

/// The loss of each sentence, and the multiplications that it took to learn from all of them.
private func learn(
  _ sentences: [[Int32]], _ counts: [Int], _ plan: NetworkPlan, _ parameters: Parameters
) throws -> (losses: [Double], multiplications: Int) {
  let active = ActiveRows(counts: counts)
  let network = try Network(
    plan, parameters: parameters,
    NetworkShape(steps: counts.count, lanes: sentences.count, purpose: .training, rowsEnd: true))
  let states = try RowStates(plan.states, lanes: sentences.count)
  var losses = Array(repeating: 0.0, count: sentences.count)
  func places(_ shift: Int) -> [Int32] {
    counts.indices.flatMap { step in (0..<counts[step]).map { sentences[$0][step + shift] } }
  }
  let before = ProductCount.multiplications
  try places(0).withUnsafeBufferPointer { inputs in
    try places(1).withUnsafeBufferPointer { targets in
      try losses.withUnsafeMutableBufferPointer {
        try network.learn(
          inputs: inputs, targets: targets, states: states, dropout: nil, losses: $0,
          sink: GradientSink(Gradients(plan.layout)), active: active)
      }
    }
  }
  return (losses, ProductCount.multiplications - before)
}
