import Kernels

/// What each row of the batch carries from one window to the next: numbers by name, as the parts of a network have
/// registered them. They belong to rows, not to ranks: they are dealt out again when the number of ranks changes.
public final class RowStates {
  public let lanes: Int
  private let specs: [StateSpec]
  /// Where each begins in the buffers; one more than there are.
  private let offsets: [Int]
  private var current: FloatBuffer
  private var following: FloatBuffer

  /// Zero states. Throws `KernelError.outOfMemory`.
  public init(_ specs: [StateSpec], lanes: Int) throws {
    self.lanes = lanes
    self.specs = specs
    offsets = specs.reduce(into: [0]) { $0.append($0[$0.count - 1] + lanes * $1.size) }
    current = try FloatBuffer(lanes * Self.floatsPerLane(specs))
    following = try FloatBuffer(lanes * Self.floatsPerLane(specs))
  }

  public convenience init(_ model: ModelConfiguration, lanes: Int) throws {
    try self.init(NetworkPlan.states(of: model), lanes: lanes)
  }

  /// Floats that one lane's states take.
  public static func floatsPerLane(_ specs: [StateSpec]) -> Int { specs.reduce(0) { $0 + $1.size } }

  public func clear() { current.clear() }

  /// Takes over other states of the same shape.
  public func copy(from other: RowStates) { current.copy(from: other.current) }

  /// A state before the next window, [lanes, size].
  public subscript(key: StateKey) -> MatrixView { view(key.index, in: current) }

  /// Where a state after the window is written.
  public func after(_ key: StateKey) -> MatrixView { view(key.index, in: following) }

  /// By its name; nil where there is none.
  public subscript(name: String) -> MatrixView? {
    specs.firstIndex { $0.name == name }.map { view($0, in: current) }
  }

  /// What was written after the window becomes the state before the next.
  public func advance() { swap(&current, &following) }

  private func view(_ index: Int, in buffer: FloatBuffer) -> MatrixView {
    buffer.matrix(rows: lanes, columns: specs[index].size, at: offsets[index])
  }

  /// All lanes' states, lane after lane; in each, one state after the other as registered.
  public var values: [Float] {
    get {
      var values: [Float] = []
      values.reserveCapacity(current.count)
      for lane in 0..<lanes {
        for index in specs.indices {
          let state = view(index, in: current)
          values.append(contentsOf: UnsafeBufferPointer(start: state.row(lane), count: state.columns))
        }
      }
      return values
    }
    set {
      precondition(newValue.count == current.count, "states of other lanes or another model")
      var taken = 0
      for lane in 0..<lanes {
        for index in specs.indices {
          let state = view(index, in: current)
          for column in 0..<state.columns { state.row(lane)[column] = newValue[taken + column] }
          taken += state.columns
        }
      }
    }
  }
}
