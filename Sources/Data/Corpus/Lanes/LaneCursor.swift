/// Reads the training windows of the lanes one rank owns; touches no others' tokens.
public struct LaneCursor<Source: TokenSource> {
  public let source: Source
  public let layout: LaneLayout
  /// The lanes to read, out of all of the layout.
  public let lanes: Range<Int>

  public init(source: Source, layout: LaneLayout, lanes: Range<Int>) {
    precondition(source.count == layout.tokens && lanes.lowerBound >= 0 && lanes.upperBound <= layout.lanes)
    self.source = source
    self.layout = layout
    self.lanes = lanes
  }

  /// A window for `read(_:into:)`.
  public func makeWindow() -> Window { Window(sequenceLength: layout.sequenceLength, lanes: lanes.count) }

  /// Reads window `index` of an epoch. Throws what reading the source throws.
  public func read(_ index: Int, into window: inout Window) throws {
    precondition(window.sequenceLength == layout.sequenceLength && window.lanes == lanes.count)
    for (row, lane) in lanes.enumerated() {
      try window.fill(lane: row, predicting: layout.predictions(lane: lane, window: index), of: source)
    }
  }
}
