import Networks

/// Memory a rank needs to train, from shapes alone, to refuse a model that cannot fit before anything is
/// allocated: an overcommitting system would promise it and then kill a process.
public struct MemoryEstimate: Equatable, Sendable {
  /// Parameters, gradients and what the optimizer remembers; on the first rank also what saving takes.
  public let modelBytes: Int
  /// What the parts of the network take for a rank's lanes, and again for the two texts that are evaluated: packed weights
  /// and activations.
  public let activationBytes: Int

  public var bytes: Int { modelBytes + activationBytes }

  public init(_ configuration: RunConfiguration, vocabularySize: Int, lanes: Int, isFirst: Bool) {
    let plan = NetworkPlan(configuration.model, vocabularySize: vocabularySize)
    let training = configuration.training
    let slots = Optimizer.slotNames(configuration.optimizer.kind).count
    // Parameters, gradients and slots; the copy of them that is being saved and the file built from it, on the first rank.
    let copies = isFirst ? 2 * (1 + slots) : 0
    modelBytes = Self.whole(4 * Double(2 + slots + copies) * Double(plan.layout.bufferCount))
    let learning = plan.floats(
      NetworkShape(
        steps: training.longestWindow, lanes: lanes, purpose: .training, rowsEnd: training.lastWindow == .learn))
    let evaluating = plan.floats(
      NetworkShape(
        steps: training.sequenceLength, lanes: min(lanes, configuration.evaluation.lanes), purpose: .inference))
    activationBytes = Self.whole(4 * (learning + 2 * evaluating))
  }

  private static func whole(_ bytes: Double) -> Int { bytes < 1e18 ? Int(bytes) : Int(1e18) }
}
