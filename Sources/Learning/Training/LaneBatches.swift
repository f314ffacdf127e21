import Corpus
import Kernels

/// Rows are lanes of a text, batches their windows.
struct LaneBatches<Source: TokenSource>: BatchSource {
  private let source: Source
  private let layout: LaneLayout

  init(_ source: Source, _ layout: LaneLayout) {
    self.source = source
    self.layout = layout
  }

  var rows: Int { layout.lanes }
  var limits: BatchLimits { BatchLimits(steps: layout.longestWindow, rowsEnd: layout.isUneven) }
  var batchesPerEpoch: Int { layout.windowsPerEpoch }
  var unusedTargets: Int { layout.unusedTokens }

  func targets(inBatch index: Int, epoch: Int) -> Int { layout.predictions(window: index, epoch: epoch) }

  func verify(_ rows: Range<Int>, meanwhile: () throws -> Void) throws {
    for lane in rows { try source.verify(layout.tokens(of: lane), meanwhile: meanwhile) }
  }

  func makeReader(_ rows: Range<Int>) -> any BatchReader {
    LaneReader(LaneCursor(source: source, layout: layout, lanes: rows))
  }
}

private final class LaneReader<Source: TokenSource>: BatchReader {
  private(set) var batch = Batch()
  private let cursor: LaneCursor<Source>
  private var window: Window

  init(_ cursor: LaneCursor<Source>) {
    self.cursor = cursor
    window = cursor.makeWindow()
  }

  func read(_ index: Int, epoch: Int) throws {
    try cursor.read(index, epoch: epoch, into: &window)
    batch.inputs = window.inputs
    batch.targets = window.targets
    batch.active = cursor.layout.isUneven ? ActiveRows(counts: window.counts) : nil
  }
}
