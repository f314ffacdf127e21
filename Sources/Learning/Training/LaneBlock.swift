import Corpus
import Networks

/// Some contiguous lanes of the global batch that learn together, in one call of a model: all lanes of a rank, or one
/// lane group.
final class LaneBlock<Source: TokenSource> {
  let lanes: Range<Int>
  let state: RecurrentState
  private let model: LanguageModel
  private let cursor: LaneCursor<Source>
  /// The one read last.
  private(set) var window: Window
  private let times: StepTimes

  init(_ lanes: Range<Int>, model: LanguageModel, source: Source, layout: LaneLayout, times: StepTimes) throws {
    self.lanes = lanes
    self.model = model
    self.times = times
    state = try RecurrentState(model.configuration, lanes: lanes.count)
    cursor = LaneCursor(source: source, layout: layout, lanes: lanes)
    window = cursor.makeWindow()
  }

  /// Learns from window `index` of the epoch. `losses` are those of all lanes of the global batch; this block's are
  /// added to. Dropout has the masks of window `number` of the run. `overwrites` and `observer` are as in
  /// `LanguageModel.learn`.
  func learn(
    window index: Int, number: Int, seed: UInt64, losses: UnsafeMutableBufferPointer<Double>, gradients: Gradients,
    overwrites: Bool = false, observer: (any LearningObserver)? = nil
  ) throws {
    try times.measure(.input) { try cursor.read(index, into: &window) }
    let key =
      model.configuration.dropout > 0 ? DropoutKey(seed: seed, window: number, firstLane: lanes.lowerBound) : nil
    try window.inputs.withUnsafeBufferPointer { inputs in
      try window.targets.withUnsafeBufferPointer { targets in
        try model.learn(
          inputs: inputs, targets: targets, state: state, dropout: key,
          losses: UnsafeMutableBufferPointer(rebasing: losses[lanes]), gradients: gradients, overwrites: overwrites,
          observer: observer)
      }
    }
  }
}
