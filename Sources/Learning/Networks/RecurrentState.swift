import Kernels

/// What each lane remembers between windows: a hidden state and, for cells that have one, a cell state per
/// layer. It belongs to lanes, not to ranks: it is dealt out again when their number changes.
public final class RecurrentState {
  public let lanes: Int
  private let hiddenSizes: [Int]
  private let hasCellState: Bool
  private var current: FloatBuffer
  private var following: FloatBuffer

  /// Zero state. Throws `KernelError.outOfMemory`.
  public init(_ model: ModelConfiguration, lanes: Int) throws {
    self.lanes = lanes
    hiddenSizes = model.hiddenSizes
    hasCellState = model.cell.hasCellState
    let count = lanes * Self.floatsPerLane(model)
    current = try FloatBuffer(count)
    following = try FloatBuffer(count)
  }

  /// Floats that one lane's state takes.
  public static func floatsPerLane(_ model: ModelConfiguration) -> Int {
    model.hiddenSizes.reduce(0, +) * (model.cell.hasCellState ? 2 : 1)
  }

  public func clear() { current.clear() }

  /// Takes over another state of the same shape.
  public func copy(from other: RecurrentState) { current.copy(from: other.current) }

  /// State of a layer before the next window.
  public func layer(_ index: Int) -> LayerState { layer(index, in: current) }

  /// Where a layer's state after the window is written.
  public func layerAfter(_ index: Int) -> LayerState { layer(index, in: following) }

  /// What was written after the window becomes the state before the next.
  public func advance() { swap(&current, &following) }

  private func layer(_ index: Int, in buffer: FloatBuffer) -> LayerState {
    let size = hiddenSizes[index]
    let offset = lanes * hiddenSizes[..<index].reduce(0, +) * (hasCellState ? 2 : 1)
    return LayerState(
      hidden: buffer.matrix(rows: lanes, columns: size, at: offset),
      cell: hasCellState ? buffer.matrix(rows: lanes, columns: size, at: offset + lanes * size) : nil)
  }

  /// All lanes' states, lane after lane; in each, layer after layer, hidden before cell.
  public var values: [Float] {
    get {
      var values: [Float] = []
      values.reserveCapacity(current.count)
      for lane in 0..<lanes {
        forEachRow(of: lane) { values.append(contentsOf: UnsafeBufferPointer(start: $0, count: $1)) }
      }
      return values
    }
    set {
      precondition(newValue.count == current.count, "state of other lanes or another model")
      var taken = 0
      for lane in 0..<lanes {
        forEachRow(of: lane) { row, count in
          for index in 0..<count { row[index] = newValue[taken + index] }
          taken += count
        }
      }
    }
  }

  private func forEachRow(of lane: Int, _ body: (UnsafeMutablePointer<Float>, Int) -> Void) {
    for (index, size) in hiddenSizes.enumerated() {
      let state = layer(index)
      body(state.hidden.row(lane), size)
      if let cell = state.cell { body(cell.row(lane), size) }
    }
  }
}
