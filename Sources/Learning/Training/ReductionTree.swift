import Corpus
import Kernels
import Networks

/// Sums one gradient per lane group in one order, whatever the number of ranks.
///
/// Floating-point sums depend on their order, and `MPI_Allreduce` takes another one for every number of ranks. Here the
/// groups are the leaves of one tree, which splits a range at the largest power of two below its size; every rank owns
/// a contiguous range of leaves, adds up the subtrees it owns whole, and sends each to the rank that owns the parent.
/// The root ends on rank 0, which sends it to all. So the bits depend on the groups alone.
final class ReductionTree {
  private let group: any RankGroup
  /// The lane groups of each rank.
  private let owned: [Range<Int>]
  private let groups: Int
  private let layout: ParameterLayout
  private let times: StepTimes
  /// Buffers not in use: a rank holds as many at once as the tree is deep.
  private var free: [Gradients] = []

  /// What the sums take is added to `times`.
  init(groups: Int, layout: ParameterLayout, group: any RankGroup, times: StepTimes) {
    precondition(group.count <= groups, "a rank without a lane group has nothing to do")
    self.group = group
    self.groups = groups
    self.layout = layout
    self.times = times
    owned = (0..<group.count).map { evenChunk($0, of: group.count, in: groups) }
  }

  /// Lane groups of this rank.
  var own: Range<Int> { owned[group.rank] }

  /// `leaf` fills a cleared buffer with the gradient of one of this rank's lane groups; the sum over all groups comes
  /// into `result` on every rank.
  func sum(into result: Gradients, leaf: (_ laneGroup: Int, _ into: Gradients) throws -> Void) throws {
    let root = try reduce(0..<groups, leaf).gradients
    try times.measure(.exchange) {
      if let root {
        result.buffer.copy(from: root.buffer)
        free.append(root)
      }
      try group.broadcast(UnsafeMutableRawBufferPointer(result.buffer.values))
    }
  }

  /// Sums a subtree. All ranks walk the whole tree in the same order, so sends and receives meet; only `holder` has the
  /// sum.
  private func reduce(
    _ range: Range<Int>, _ leaf: (Int, Gradients) throws -> Void
  ) throws -> (holder: Int, gradients: Gradients?) {
    guard range.count > 1 else {
      let holder = owned.firstIndex { $0.contains(range.lowerBound) } ?? 0
      guard holder == group.rank else { return (holder, nil) }
      let gradients = try take()
      times.measure(.update) { gradients.buffer.clear() }
      try leaf(range.lowerBound, gradients)
      return (holder, gradients)
    }
    let middle = range.lowerBound + Self.largestPowerOfTwo(below: range.count)
    let left = try reduce(range.lowerBound..<middle, leaf)
    let right = try reduce(middle..<range.upperBound, leaf)
    try times.measure(.exchange) {
      if let sum = left.gradients {
        let other = try right.gradients ?? take()
        if right.holder != left.holder { try group.receive(other.buffer.values, from: right.holder) }
        Self.add(other.buffer, to: sum.buffer)
        free.append(other)
      } else if let part = right.gradients {
        try group.send(part.buffer.values, to: left.holder)
        free.append(part)
      }
    }
    return left
  }

  private func take() throws -> Gradients { try free.popLast() ?? Gradients(layout) }

  private static func largestPowerOfTwo(below count: Int) -> Int {
    1 << (Int.bitWidth - 1 - (count - 1).leadingZeroBitCount)
  }

  private static func add(_ other: FloatBuffer, to sum: FloatBuffer) {
    for index in 0..<sum.count { sum.pointer[index] += other.pointer[index] }
  }
}
