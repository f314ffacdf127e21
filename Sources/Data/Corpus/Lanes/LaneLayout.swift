import Files

/// How training deals a text to lanes: N tokens make N - 1 predictions; each lane gets a contiguous stretch
/// of them and reads it window by window. What fills no whole window on every lane is left out.
public struct LaneLayout: Equatable, Sendable {
  public let tokens: Int
  /// The rows of the global batch, on all ranks together.
  public let lanes: Int
  public let sequenceLength: Int
  /// How many windows a lane has.
  public let windowsPerEpoch: Int
  /// From the start of a lane to the start of the next.
  private let predictionsPerLane: Int

  /// Throws `CorpusError` for a text shorter than one window on each lane.
  public init(tokens: Int, lanes: Int, sequenceLength: Int) throws {
    precondition(lanes > 0 && sequenceLength > 0)
    self.tokens = tokens
    self.lanes = lanes
    self.sequenceLength = sequenceLength
    predictionsPerLane = max(0, tokens - 1) / lanes
    windowsPerEpoch = predictionsPerLane / sequenceLength
    if windowsPerEpoch == 0 {
      throw CorpusError(
        "training text",
        "expected at least \(lanes * sequenceLength + 1) tokens for \(counted(lanes, "lane")) and windows of "
          + "\(sequenceLength), found \(tokens)",
        remedy: "use fewer lanes, shorter windows or more text")
    }
  }

  /// How many predictions no window of an epoch makes.
  public var unusedTokens: Int { tokens - 1 - lanes * windowsPerEpoch * sequenceLength }

  /// The tokens that lane `lane` predicts in window `window` of an epoch.
  public func predictions(lane: Int, window: Int) -> Range<Int> {
    precondition((0..<lanes).contains(lane) && (0..<windowsPerEpoch).contains(window))
    let start = lane * predictionsPerLane + window * sequenceLength + 1
    return start..<start + sequenceLength
  }
}
