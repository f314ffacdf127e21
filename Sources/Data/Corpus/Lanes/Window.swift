/// A window of some lanes: what one step reads. Reused from step to step.
public struct Window: Sendable {
  public let sequenceLength: Int
  public let lanes: Int
  /// Tokens, `[sequenceLength x lanes]`: lane i at time t is element t * lanes + i.
  public private(set) var inputs: [Int32]
  /// The token after each input, in the same order; `Window.ended` where a lane has no more.
  public private(set) var targets: [Int32]
  /// A lane's tokens, before they are dealt out.
  private var row: [Int32]

  /// The target at a place behind the end of a lane; the input there is 0.
  public static let ended: Int32 = -1

  public init(sequenceLength: Int, lanes: Int) {
    self.sequenceLength = sequenceLength
    self.lanes = lanes
    inputs = [Int32](repeating: 0, count: sequenceLength * lanes)
    targets = [Int32](repeating: Window.ended, count: sequenceLength * lanes)
    row = [Int32](repeating: 0, count: sequenceLength + 1)
  }

  /// Fills one lane with the predictions of the tokens in a range, which may be shorter than the window.
  mutating func fill(lane: Int, predicting range: Range<Int>, of source: some TokenSource) throws {
    if !range.isEmpty {
      try row.withUnsafeMutableBufferPointer {
        try source.copy(range.lowerBound - 1..<range.upperBound, into: $0)
      }
    }
    for time in 0..<sequenceLength {
      let isPast = time >= range.count
      inputs[time * lanes + lane] = isPast ? 0 : row[time]
      targets[time * lanes + lane] = isPast ? Window.ended : row[time + 1]
    }
  }
}
