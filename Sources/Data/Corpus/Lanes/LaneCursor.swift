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

  /// A window for `read`.
  public func makeWindow() -> Window { Window(sequenceLength: layout.longestWindow, lanes: lanes.count) }

  /// Reads window `index` of an epoch, packed where the layout is uneven. Throws what reading the source throws.
  public func read(_ index: Int, epoch: Int, into window: inout Window) throws {
    precondition(window.sequenceLength == layout.longestWindow && window.lanes == lanes.count)
    if layout.isUneven {
      let ranges = lanes.map { layout.predictions(lane: $0, window: index, epoch: epoch) }
      return try window.pack(predicting: ranges, of: source)
    }
    for (row, lane) in lanes.enumerated() {
      try window.fill(lane: row, predicting: layout.predictions(lane: lane, window: index, epoch: epoch), of: source)
    }
  }
}
