import Networks

/// Memory a rank needs to train, from shapes alone, to refuse a model that cannot fit before anything is
/// allocated: an overcommitting system would promise it and then kill a process.
public struct MemoryEstimate: Equatable, Sendable {
  /// Parameters, gradients, what the optimizer remembers, packed weights; on the first rank also what saving takes.
  public let modelBytes: Int
  /// Activations of a rank's lanes.
  public let activationBytes: Int

  public var bytes: Int { modelBytes + activationBytes }

  public init(_ configuration: RunConfiguration, vocabularySize: Int, lanes: Int, isFirst: Bool) {
    // In Double: shapes that overflow an Int are just what this is to catch.
    let model = configuration.model
    let cell = model.cell
    let (vocabulary, embedding) = (Double(vocabularySize), Double(model.embeddingSize))
    var (recurrent, packed) = (0.0, 0.0)
    var perRow = embedding * (model.dropout > 0 ? 4 : 2)
    for (layer, hidden) in model.hiddenSizes.enumerated() {
      let units = Double(hidden)
      let weights = Double(cell.gates) * units * (Double(model.inputSize(ofLayer: layer)) + units)
      recurrent += weights
      // By the plan of training, for the way there and the way back, and by those of two evaluations. An LSTM that learns
      // reads those of its input where they lie on the way there.
      packed += (cell == .lstm ? weights + Double(cell.gates) * units * units : 2 * weights) + 2 * weights
      // Gates, states and outputs kept for the way back, and their gradients.
      perRow += units * (2 * Double(cell.gates) + 6 + (model.dropout > 0 ? 2 : 0))
    }
    let tables = vocabulary * (embedding + (model.tiedWeights ? 0 : Double(model.outputSize)))
    let slots = Double(Optimizer.slotNames(configuration.optimizer.kind).count)
    // Parameters, gradients and slots; the copy of them that is being saved and the file built from it, on the first rank.
    let copies = isFirst ? 2 * (1 + slots) : 0
    let floats = (2 + slots + copies) * (recurrent + tables) + packed
    let rows = Double(lanes) * Double(configuration.training.sequenceLength)
    modelBytes = Self.whole(4 * floats)
    let output = LanguageModel.outputFloats(
      rows: rows, hiddenSize: Double(model.outputSize), vocabularySize: vocabularySize)
    activationBytes = Self.whole(4 * (rows * perRow + output))
  }

  private static func whole(_ bytes: Double) -> Int { bytes < 1e18 ? Int(bytes) : Int(1e18) }
}
