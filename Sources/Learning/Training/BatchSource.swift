import Kernels

/// What some rows of the global batch read in one pass through a network. Reused from pass to pass.
public struct Batch: Sendable {
  /// Tokens, step by step: see `ActiveRows`.
  public var inputs: [Int32] = []
  /// What each row is to say at each step.
  public var targets: [Int32] = []
  /// Which rows live at each step; nil where all do, in a batch of the greatest length.
  public var active: ActiveRows?

  public init() {}
}

/// The largest batches there are: memory is taken for them before the first step.
public struct BatchLimits: Equatable, Sendable {
  public let steps: Int
  /// Whether rows may end before others, or batches be shorter.
  public let rowsEnd: Bool

  public init(steps: Int, rowsEnd: Bool) {
    self.steps = steps
    self.rowsEnd = rowsEnd
  }
}

/// Where the rows of each batch come from: lanes of a text, or examples. What a batch holds follows from the seed, the epoch
/// and its place in it alone: nothing of it is saved, and no number of ranks changes it.
public protocol BatchSource {
  /// Of the global batch.
  var rows: Int { get }
  var limits: BatchLimits { get }
  var batchesPerEpoch: Int { get }
  /// Targets of an epoch that no batch has.
  var unusedTargets: Int { get }
  /// Targets of all rows in batch `index` of an epoch, counted from 0.
  func targets(inBatch index: Int, epoch: Int) -> Int
  /// Checks what some rows will read, so that damage is found before the first step. What `meanwhile` throws ends it.
  func verify(_ rows: Range<Int>, meanwhile: () throws -> Void) throws
  func makeReader(_ rows: Range<Int>) -> any BatchReader
}

/// Reads the batches of some rows.
public protocol BatchReader: AnyObject {
  /// The one read last.
  var batch: Batch { get }
  func read(_ index: Int, epoch: Int) throws
}
