import Networks

/// The parts of a gradient that a step has made: all of it, but of a large embedding only the rows of tokens that were
/// read. The others are zero on every rank: they need not be cleared, exchanged, measured or, with plain gradient descent,
/// updated.
final class SparseRows {
  /// Everything that is not the sparse tensor; all, where its rows are not told apart.
  let dense: Range<Int>
  /// Of the sparse tensor, after `merge`: on all ranks alike, in order.
  private(set) var rows: [Range<Int>] = []
  /// That this rank's windows have touched.
  private var own: Set<Int32> = []
  private let table: TensorSpec?

  /// Rows are told apart where a step of all ranks reads, with `tokensPerStep`, at most half as many tokens as the sparse
  /// tensor has rows, and it is the first of all.
  init(_ layout: ParameterLayout, tokensPerStep: Int) {
    let first = layout.tensors.first { $0.isSparse && $0.offset == 0 && 2 * tokensPerStep <= $0.shape[0] }
    table = first
    // The next begins on a cache line.
    dense = (first == nil ? 0 : layout.tensors[1].offset)..<layout.bufferCount
  }

  var isSparse: Bool { table != nil }

  /// Notes what a window has touched; -1 is no row.
  func note(_ rows: UnsafeBufferPointer<Int32>) { if isSparse { own.formUnion(rows.lazy.filter { $0 >= 0 }) } }

  /// Finds the rows that any rank has touched. All ranks take part.
  func merge(_ group: any RankGroup) throws {
    guard let table else { return }
    let own = own.sorted()
    let all = group.count == 1 ? own : Self.union(try group.allGather(own.withUnsafeBytes { Array($0) }))
    let size = table.shape[1]
    rows = all.map { table.offset + Int($0) * size..<table.offset + (Int($0) + 1) * size }
  }

  /// Forgets them, to begin the next step.
  func clear() {
    rows.removeAll(keepingCapacity: true)
    own.removeAll(keepingCapacity: true)
  }

  private static func union(_ brought: [[UInt8]]) -> [Int32] {
    var all = Set<Int32>()
    for bytes in brought { bytes.withUnsafeBytes { all.formUnion($0.bindMemory(to: Int32.self)) } }
    return all.sorted()
  }
}
