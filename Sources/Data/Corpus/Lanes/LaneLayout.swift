import Files

/// What an epoch does with the tokens at a lane's end that fill no whole window.
public enum LastWindow: String, Codable, CaseIterable, Sendable {
  /// It leaves them out, and what does not divide by lanes too: every window is equally long.
  case drop
  /// It learns from them, in a shorter window, and from every token once.
  case learn
}

/// How training deals a text to lanes: N tokens make N - 1 predictions; each lane gets a contiguous stretch
/// of them and reads it window by window.
public struct LaneLayout: Equatable, Sendable {
  public let tokens: Int
  /// The rows of the global batch, on all ranks together.
  public let lanes: Int
  public let sequenceLength: Int
  public let lastWindow: LastWindow
  /// Tokens by which a window's ends may lie before or behind where windows of one length would have them.
  public let jitter: Int
  /// How many windows a lane has.
  public let windowsPerEpoch: Int
  /// Of the shortest lane.
  private let predictionsPerLane: Int
  private let seed: UInt64

  /// `seed` decides where windows end, with `jitter`. Throws `CorpusError` for a text shorter than one window on each lane,
  /// or with `learn` than one token.
  public init(
    tokens: Int, lanes: Int, sequenceLength: Int, lastWindow: LastWindow = .drop, jitter: Int = 0, seed: UInt64 = 0
  ) throws {
    precondition(lanes > 0 && sequenceLength > 0)
    // Then ends never meet: a window's mean length is more than half of the sequence length.
    precondition(jitter == 0 || (lastWindow == .learn && 4 * jitter <= sequenceLength))
    self.tokens = tokens
    self.lanes = lanes
    self.sequenceLength = sequenceLength
    self.lastWindow = lastWindow
    self.jitter = jitter
    self.seed = seed
    predictionsPerLane = max(0, tokens - 1) / lanes
    let (whole, rest) = predictionsPerLane.quotientAndRemainder(dividingBy: sequenceLength)
    windowsPerEpoch = lastWindow == .learn && rest > 0 ? whole + 1 : whole
    if windowsPerEpoch == 0 {
      let least = lastWindow == .learn ? lanes : lanes * sequenceLength
      throw CorpusError(
        "training text",
        "expected at least \(least + 1) tokens for \(counted(lanes, "lane"))"
          + (lastWindow == .drop ? " and windows of \(sequenceLength)" : "") + ", found \(tokens)",
        remedy: "use fewer lanes, shorter windows or more text")
    }
  }

  /// Whether some windows, or some lanes in a window, are shorter than others.
  public var isUneven: Bool { lastWindow == .learn }

  /// How many predictions no window of an epoch makes.
  public var unusedTokens: Int { isUneven ? 0 : tokens - 1 - lanes * windowsPerEpoch * sequenceLength }

  /// No window of any epoch has more predictions of a lane.
  public var longestWindow: Int {
    if !isUneven { return sequenceLength }
    let last = predictionsPerLane - (windowsPerEpoch - 1) * sequenceLength + (longerLanes > 0 ? 1 : 0)
    if jitter == 0 { return windowsPerEpoch > 1 ? max(sequenceLength, last) : last }
    return (predictionsPerLane + windowsPerEpoch - 1) / windowsPerEpoch + 2 * jitter + 1
  }

  /// Lanes, the first ones, that have a prediction more than the others.
  private var longerLanes: Int { isUneven ? (tokens - 1) % lanes : 0 }

  /// The tokens that lane `lane` predicts in window `window` of an epoch, counted from 0. Never empty; of a window's lanes
  /// none has more than one before it.
  public func predictions(lane: Int, window: Int, epoch: Int) -> Range<Int> {
    precondition((0..<lanes).contains(lane) && (0..<windowsPerEpoch).contains(window))
    let start = lane * predictionsPerLane + min(lane, longerLanes) + 1
    let isLast = window == windowsPerEpoch - 1
    let end = isLast && lane < longerLanes ? predictionsPerLane + 1 : end(of: window, epoch)
    return start + beginning(of: window, epoch)..<start + end
  }

  /// The predictions of all lanes in a window.
  public func predictions(window: Int, epoch: Int) -> Int {
    let own = lanes * (end(of: window, epoch) - beginning(of: window, epoch))
    return window == windowsPerEpoch - 1 ? own + longerLanes : own
  }

  private func beginning(of window: Int, _ epoch: Int) -> Int { window == 0 ? 0 : end(of: window - 1, epoch) }

  /// Where a window ends in the shortest lane.
  private func end(of window: Int, _ epoch: Int) -> Int {
    if jitter == 0 {
      let end = (window + 1) * sequenceLength
      return isUneven ? min(end, predictionsPerLane) : end
    }
    if window == windowsPerEpoch - 1 { return predictionsPerLane }
    let even = predictionsPerLane * (window + 1) / windowsPerEpoch
    // A stream of numbers for each epoch, of which any can be had by itself.
    var random = SplitMix64(seed: seed &+ UInt64(epoch) &* 0xd1b5_4a32_d192_ed03 &+ UInt64(window))
    return even + Int(random.nextUnit() * Double(2 * jitter + 1)) - jitter
  }
}
