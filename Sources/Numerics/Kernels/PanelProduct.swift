import CKernels

/// Products with a matrix that is used many times: it is laid out once in panels of 32 columns, which are then read from
/// their beginning to their end. Where few rows are multiplied by weights that do not fit a core's cache, as in each step of
/// a recurrent layer, this is 1.4 times as fast as oneDNN's products (Benchmarks/README.md).
///
/// Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), with two differences: the left factor
/// is read where it lies, and the panels are read to and fro, so that those of the last call that are still in the cache
/// are found there.
public final class PanelProduct {
  /// Rows and columns of the matrix that was taken over last.
  private(set) var depth = 0
  private(set) var columns = 0

  var instructions = Instructions.best
  private let panels: FloatBuffer
  private var isReversed = false

  private static let panelColumns = Int(lockstep_panel_columns)
  /// Rows of the left factor, and steps of a panel, that are kept in a core's own cache while they are used again.
  private static let blockRows = 144
  private static let blockDepth = 1024

  /// For matrices of up to `depth` x `columns`. Throws `KernelError.outOfMemory`.
  public init(depth: Int, columns: Int) throws {
    panels = try FloatBuffer(lockstep_panel_floats(depth, columns))
  }

  /// Takes over the right factor `b` as it is now.
  public func pack(_ b: some MatrixFactor) {
    (depth, columns) = b.shape
    precondition(lockstep_panel_floats(depth, columns) <= panels.count, "room for less than \(b.shape)")
    lockstep_pack_panels(
      instructions, depth, columns, b.stored.pointer, b.rowStride, b.columnStride, panels.pointer)
  }

  /// `c = a b`, or `c += a b` with `adding`, on `OneDNN.threads` threads as far as there are panels. A number of `c` is the
  /// same whatever the number of rows and threads.
  public func multiply(_ a: some MatrixFactor, into c: some MatrixFactor, adding: Bool = false) {
    let place = Place(a, c, adding, self)
    ProductCount.add(place.rows, depth, columns)
    let count = (columns + Self.panelColumns - 1) / Self.panelColumns
    let threads = min(OneDNN.threads, count)
    let isReversed = isReversed
    OneDNN.concurrently(threads) { thread in
      multiply(place, panels: count * thread / threads..<count * (thread + 1) / threads, isReversed: isReversed)
    }
    self.isReversed.toggle()
  }

  /// The same on the thread of the caller alone; several may call it at once.
  public func multiplyAlone(_ a: some MatrixFactor, into c: some MatrixFactor, adding: Bool = false) {
    let count = (columns + Self.panelColumns - 1) / Self.panelColumns
    let place = Place(a, c, adding, self)
    ProductCount.add(place.rows, depth, columns)
    multiply(place, panels: 0..<count, isReversed: false)
  }

  /// Where the factor and the product of a call are, and how many floats there are between their rows and columns.
  private struct Place {
    let rows: Int
    let a: UnsafePointer<Float>
    let aRow: Int
    let c: UnsafeMutablePointer<Float>
    let cRow: Int
    let adding: Bool

    init(_ a: some MatrixFactor, _ c: some MatrixFactor, _ adding: Bool, _ product: PanelProduct) {
      precondition(
        a.shape == (c.shape.rows, product.depth) && c.shape.columns == product.columns && !a.isTransposed
          && !c.isTransposed,
        "\(a.shape) x [\(product.depth), \(product.columns)] into \(c.shape)")
      (rows, self.a, aRow) = (a.shape.rows, UnsafePointer(a.stored.pointer), a.stride)
      (self.c, cRow, self.adding) = (c.stored.pointer, c.stride, adding)
    }
  }

  private func multiply(_ place: Place, panels: Range<Int>, isReversed: Bool) {
    forEachBlock(of: place.rows, most: Self.blockRows) { rows in
      for index in panels {
        multiply(place, rows: rows, panel: isReversed ? panels.lowerBound + panels.upperBound - 1 - index : index)
      }
    }
  }

  private func multiply(_ place: Place, rows: Range<Int>, panel: Int) {
    let first = panel * Self.panelColumns
    let columns = min(Self.panelColumns, columns - first)
    let c = place.c + rows.lowerBound * place.cRow + first
    let begin = panels.pointer + first * depth
    forEachBlock(of: depth, most: Self.blockDepth) { steps in
      lockstep_multiply_panel(
        instructions, rows.count, columns, steps.count,
        place.a + rows.lowerBound * place.aRow + steps.lowerBound, place.aRow,
        begin + lockstep_panel_floats(steps.lowerBound, columns), place.adding || steps.lowerBound > 0, c, place.cRow)
    }
  }

  /// As even blocks as can be.
  @inline(__always)
  private func forEachBlock(of count: Int, most: Int, _ body: (Range<Int>) -> Void) {
    let blocks = (count + most - 1) / most
    for block in 0..<blocks { body(count * block / blocks..<count * (block + 1) / blocks) }
  }
}
