import Files
import HDF5Files
import Kernels
import Networks
import Training

/// Everything a run needs to go on, and everything a model needs to be used. checkpoints/README.md describes
/// the file.
public struct Checkpoint: Sendable {
  public var card: ModelMetadata
  public var parameters: Parameters
  public var optimizerSlots: [(name: String, buffer: FloatBuffer)]
  /// Of all rows of the global batch, in order.
  public var rowStates: [Float]
  public var curves: Curves

  public init(
    card: ModelMetadata, parameters: Parameters, optimizerSlots: [(name: String, buffer: FloatBuffer)],
    rowStates: [Float], curves: Curves
  ) {
    self.card = card
    self.parameters = parameters
    self.optimizerSlots = optimizerSlots
    self.rowStates = rowStates
    self.curves = curves
  }

  /// Copies of the numbers that training changes, in memory that the next checkpoint reuses.
  public struct Snapshot: Sendable {
    let parameters: Parameters
    let slots: [FloatBuffer]
  }

  /// The same checkpoint with numbers of its own, copied into `snapshot`, which is made if need be.
  public func copy(into snapshot: inout Snapshot?) throws -> Checkpoint {
    let memory =
      try snapshot
      ?? Snapshot(
        parameters: Parameters(parameters.layout), slots: optimizerSlots.map { try FloatBuffer($0.buffer.count) })
    snapshot = memory
    memory.parameters.buffer.copy(from: parameters.buffer)
    var copy = self
    copy.parameters = memory.parameters
    for (index, slot) in optimizerSlots.enumerated() {
      memory.slots[index].copy(from: slot.buffer)
      copy.optimizerSlots[index].buffer = memory.slots[index]
    }
    return copy
  }

  static let kind = "checkpoint"
  static let formatVersion = 1

  /// Writes the file whole or not at all. Throws `HDF5Error` and `FileError`.
  public func save(to path: String) throws {
    let writer = try HDF5Writer(kind: Self.kind, formatVersion: Self.formatVersion)
    try card.write(to: writer)
    try writer.write(parameters.buffer, parameters.layout, under: "/parameters")
    for slot in optimizerSlots {
      try writer.write(slot.buffer, parameters.layout, under: "/optimizer/\(slot.name)")
    }
    let rows = card.configuration.training.batchSize
    try rowStates.withUnsafeBufferPointer {
      try writer.write($0, shape: [rows, rowStates.count / rows], at: "/lanes/state")
    }
    try curves.write(to: writer, under: "/curves")
    try writer.save(to: path)
  }
}

/// A checkpoint on disk, verified and open for reading.
public final class CheckpointFile {
  public let path: String
  public let card: ModelMetadata
  private let reader: HDF5Reader

  /// Throws `HDF5Error`, `FileError` or `CheckpointError` for a file that is not whole or not ours.
  public init(_ path: String) throws {
    self.path = path
    reader = try HDF5Reader(
      path: path, kind: Checkpoint.kind, newestVersion: Checkpoint.formatVersion)
    card = try ModelMetadata(reader, path: path)
  }

  /// SHA-256 of a checkpoint as its header has it, in hexadecimal digits: equal for files of equal contents. Only the
  /// header is looked at. Throws `HDF5Error` and `FileError`.
  public static func digest(of path: String) throws -> String {
    try ContainerHeader.read(path).digest.hexadecimal
  }

  public func readParameters(into parameters: Parameters) throws {
    try reader.read("/parameters", into: parameters.buffer, parameters.layout)
  }

  public func readOptimizer(slot: String, into buffer: FloatBuffer, layout: ParameterLayout) throws {
    try reader.read("/optimizer/\(slot)", into: buffer, layout)
  }

  public func readRowStates() throws -> [Float] {
    let shape = [
      card.configuration.training.batchSize, NetworkPlan.stateFloats(of: card.configuration.model),
    ]
    var states = [Float](repeating: 0, count: shape[0] * shape[1])
    try states.withUnsafeMutableBufferPointer { try reader.read("/lanes/state", shape: shape, into: $0) }
    return states
  }

  public func readCurves() throws -> Curves { try Curves(reader: reader, under: "/curves") }
}

/// What is known of a checkpoint without its numbers.
public struct CheckpointSummary: Codable, Equatable, Sendable {
  public let path: String
  public let step: Int
  /// The step of the best one before it, if there is one.
  public let bestStep: Int?
  /// Of the run: see `TrainingProgress.origin`.
  public let origin: String
  /// Of the tokens learned from.
  public let fingerprint: String
  /// See `CheckpointFile.digest`.
  public let digest: String
}

extension CheckpointSummary {
  public init(_ file: CheckpointFile) throws {
    let progress = file.card.progress
    path = file.path
    step = progress.step
    bestStep = progress.best == nil ? nil : progress.bestStep
    origin = progress.origin
    fingerprint = file.card.corpus.fingerprint
    digest = try CheckpointFile.digest(of: file.path)
  }
}
