import Corpus
import Networks

/// Some contiguous lanes of the global batch that learn together, in one call of a model: all lanes of a rank, or one
/// lane group.
final class LaneBlock<Source: TokenSource> {
  let lanes: Range<Int>
  let states: RowStates
  private let network: Network
  private let cursor: LaneCursor<Source>
  /// The one read last.
  private(set) var window: Window
  private let times: StepTimes

  init(_ lanes: Range<Int>, network: Network, source: Source, layout: LaneLayout, times: StepTimes) throws {
    self.lanes = lanes
    self.network = network
    self.times = times
    states = try RowStates(network.plan.states, lanes: lanes.count)
    cursor = LaneCursor(source: source, layout: layout, lanes: lanes)
    window = cursor.makeWindow()
  }

  /// Learns from window `index` of the epoch. `losses` are those of all lanes of the global batch; this block's are
  /// added to. Dropout has the masks of window `number` of the run.
  func learn(
    window index: Int, number: Int, seed: UInt64, losses: UnsafeMutableBufferPointer<Double>, sink: GradientSink
  ) throws {
    try times.measure(.input) { try cursor.read(index, into: &window) }
    let key = DropoutKey(seed: seed, window: number, firstLane: lanes.lowerBound)
    try window.inputs.withUnsafeBufferPointer { inputs in
      try window.targets.withUnsafeBufferPointer { targets in
        try network.learn(
          inputs: inputs, targets: targets, states: states, dropout: key,
          losses: UnsafeMutableBufferPointer(rebasing: losses[lanes]), sink: sink)
      }
    }
  }
}
