/// Which rows of a window live at each step: so many, the first ones, never more than at the step before. The rows of a step
/// stand behind those of the step before, with none between, as in PyTorch's `PackedSequence`: rows that have ended take
/// neither room nor time.
public struct ActiveRows: Equatable, Sendable {
  /// Rows of each step.
  public let counts: [Int]
  /// Where each step's rows begin; one more than there are steps.
  public let offsets: [Int]

  /// Traps unless they fall.
  public init(counts: [Int]) {
    precondition(zip(counts, counts.dropFirst()).allSatisfy(>=), "rows end, and none begins later: \(counts)")
    self.counts = counts
    offsets = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
  }

  /// All rows live at each step.
  public init(steps: Int, lanes: Int) { self.init(counts: Array(repeating: lanes, count: steps)) }

  public var steps: Int { counts.count }
  /// Of all steps.
  public var total: Int { offsets[counts.count] }
  public func rows(of step: Int) -> Range<Int> { offsets[step]..<offsets[step + 1] }
}
