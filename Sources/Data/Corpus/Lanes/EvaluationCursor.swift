/// Reads the evaluation windows of the lanes one rank owns.
public struct EvaluationCursor<Source: TokenSource> {
  public let source: Source
  public let layout: EvaluationLayout
  /// The lanes to read, out of all of the layout.
  public let lanes: Range<Int>

  public init(source: Source, layout: EvaluationLayout, lanes: Range<Int>) {
    precondition(source.count == layout.tokens && lanes.lowerBound >= 0 && lanes.upperBound <= layout.lanes)
    self.source = source
    self.layout = layout
    self.lanes = lanes
  }

  /// Reads window `block`, of the window's length; targets behind a lane's end are `Window.ended`.
  /// Throws what reading the source throws.
  public func read(block: Int, into window: inout Window) throws {
    precondition(window.lanes == lanes.count)
    for (row, lane) in lanes.enumerated() {
      let all = layout.predictions(lane: lane)
      let start = min(all.lowerBound + block * window.sequenceLength, all.upperBound)
      let end = min(start + window.sequenceLength, all.upperBound)
      try window.fill(lane: row, predicting: start..<end, of: source)
    }
  }
}
