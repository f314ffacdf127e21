/// How evaluation deals a text to lanes: its N - 1 predictions in contiguous stretches, none left out and
/// none twice. Each lane starts from zero state with the token before its first prediction.
public struct EvaluationLayout: Equatable, Sendable {
  public let tokens: Int
  public let lanes: Int

  public init(tokens: Int, lanes: Int) {
    precondition(tokens >= 0 && lanes > 0)
    self.tokens = tokens
    self.lanes = lanes
  }

  /// The tokens that a lane predicts. Sizes differ by at most one; empty if there are too few tokens.
  public func predictions(lane: Int) -> Range<Int> {
    precondition((0..<lanes).contains(lane))
    let stretch = evenChunk(lane, of: lanes, in: max(0, tokens - 1))
    return stretch.lowerBound + 1..<stretch.upperBound + 1
  }

  /// The predictions of the longest lane.
  public var longest: Int { predictions(lane: 0).count }

  /// How many windows of a length the longest lane takes.
  public func blocks(of length: Int) -> Int { (longest + length - 1) / length }
}
