/// A window of some lanes: what one step reads. Reused from step to step.
public struct Window: Sendable {
  /// The most predictions of a lane.
  public let sequenceLength: Int
  public let lanes: Int
  /// Tokens, step by step: lane i at time t is element t * lanes + i. Where lanes end within the window, those that live
  /// stand side by side.
  public private(set) var inputs: [Int32]
  /// The token after each input, in the same order; `Window.ended` where a lane has no more.
  public private(set) var targets: [Int32]
  /// Lanes that live at each step of a window that `pack` has filled; they never become more.
  public private(set) var counts: [Int] = []
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
    if !range.isEmpty { try read(range, of: source) }
    for time in 0..<sequenceLength {
      let isPast = time >= range.count
      inputs[time * lanes + lane] = isPast ? 0 : row[time]
      targets[time * lanes + lane] = isPast ? Window.ended : row[time + 1]
    }
  }

  /// Fills all lanes, of which none has more predictions than the one before it; nothing stands for what they lack.
  mutating func pack(predicting ranges: [Range<Int>], of source: some TokenSource) throws {
    counts = (0..<(ranges.first?.count ?? 0)).map { time in ranges.prefix { $0.count > time }.count }
    let offsets = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    let total = offsets[counts.count]
    inputs = [Int32](repeating: 0, count: total)
    targets = inputs
    for (lane, range) in ranges.enumerated() where !range.isEmpty {
      try read(range, of: source)
      for time in 0..<range.count {
        inputs[offsets[time] + lane] = row[time]
        targets[offsets[time] + lane] = row[time + 1]
      }
    }
  }

  private mutating func read(_ range: Range<Int>, of source: some TokenSource) throws {
    try row.withUnsafeMutableBufferPointer {
      try source.copy(range.lowerBound - 1..<range.upperBound, into: $0)
    }
  }
}
