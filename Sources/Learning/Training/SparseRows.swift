import Networks

/// The parts of a gradient that a step has made: all of it, but of a large embedding only the rows of tokens that were
/// read. The others are zero on every rank: they need not be cleared, exchanged, measured or, with plain gradient descent,
/// updated.
struct SparseRows {
  /// Everything that is not the embedding; all, where its rows are not told apart.
  let dense: Range<Int>
  /// Of the embedding, after `merge`: on all ranks alike, in order.
  private(set) var rows: [Range<Int>] = []
  /// Of this rank's windows.
  private var tokens: Set<Int32> = []
  private let table: TensorSpec?

  /// Rows are told apart where a step of all ranks reads, with `tokensPerStep`, at most half as many tokens as there are,
  /// and the embedding is used for nothing else.
  init(_ layout: ParameterLayout, _ model: ModelConfiguration, vocabularySize: Int, tokensPerStep: Int) {
    let isSparse = !model.tiedWeights && 2 * tokensPerStep <= vocabularySize
    table = isSparse ? layout.view("embedding") : nil
    // The embedding is the first; the next begins on a cache line.
    dense = (table == nil ? 0 : layout.views[1].offset)..<layout.bufferCount
  }

  var isSparse: Bool { table != nil }

  /// Notes what a window reads.
  mutating func note(_ inputs: [Int32]) { if isSparse { tokens.formUnion(inputs) } }

  /// Finds the rows that any rank has touched. All ranks take part.
  mutating func merge(_ group: any RankGroup) throws {
    guard let table else { return }
    let own = tokens.sorted()
    let all = group.count == 1 ? own : Self.union(try group.allGather(own.withUnsafeBytes { Array($0) }))
    let size = table.shape[1]
    rows = all.map { table.offset + Int($0) * size..<table.offset + (Int($0) + 1) * size }
  }

  /// Forgets them, to begin the next step.
  mutating func clear() {
    rows.removeAll(keepingCapacity: true)
    tokens.removeAll(keepingCapacity: true)
  }

  private static func union(_ brought: [[UInt8]]) -> [Int32] {
    var all = Set<Int32>()
    for bytes in brought { bytes.withUnsafeBytes { all.formUnion($0.bindMemory(to: Int32.self)) } }
    return all.sorted()
  }
}
