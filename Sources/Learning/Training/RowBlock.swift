import Networks

/// Some contiguous rows of the global batch that learn together, in one call of a network: all rows of a rank, or one
/// group of them.
final class RowBlock {
  let rows: Range<Int>
  let states: RowStates
  private let network: Network
  private let reader: any BatchReader
  private let times: StepTimes

  init(_ rows: Range<Int>, network: Network, source: any BatchSource, times: StepTimes) throws {
    self.rows = rows
    self.network = network
    self.times = times
    states = try RowStates(network.plan.states, lanes: rows.count)
    reader = source.makeReader(rows)
  }

  /// Learns from batch `index` of an epoch. `losses` are those of all rows of the global batch; this block's are
  /// added to. Dropout has the masks of batch `number` of the run.
  func learn(
    batch index: Int, epoch: Int, number: Int, seed: UInt64, losses: UnsafeMutableBufferPointer<Double>,
    sink: GradientSink
  ) throws {
    try times.measure(.input) { try reader.read(index, epoch: epoch) }
    let key = DropoutKey(seed: seed, window: number, firstLane: rows.lowerBound)
    let batch = reader.batch
    try batch.inputs.withUnsafeBufferPointer { inputs in
      try batch.targets.withUnsafeBufferPointer { targets in
        try network.learn(
          inputs: inputs, targets: targets, states: states, dropout: key,
          losses: UnsafeMutableBufferPointer(rebasing: losses[rows]), sink: sink, active: batch.active)
      }
    }
  }
}
