import Files
import HDF5Files
import Networks

/// A trained model: the data to use it, without the data to resume training.
public struct TrainedModel: Sendable {
  public var card: ModelMetadata
  public var parameters: Parameters

  public init(card: ModelMetadata, parameters: Parameters) {
    self.card = card
    self.parameters = parameters
  }

  /// The model that a checkpoint holds. Throws what opening and reading it throw.
  public init(checkpoint: CheckpointFile) throws {
    try self.init(card: checkpoint.card, checkpoint.path, checkpoint.readParameters)
  }

  /// Puts the rows of the vocabulary, in the embedding and the output layer, into another order: row `order[i]` becomes
  /// row i. Throws `KernelError.outOfMemory`.
  public mutating func reorder(rows order: [Int]) throws {
    precondition(order.sorted() == Array(0..<card.vocabulary.count), "each row goes to one place")
    let reordered = try Parameters(parameters.layout)
    reordered.buffer.copy(from: parameters.buffer)
    for view in parameters.layout.tensors where view.rows == .vocabulary {
      let width = view.count / order.count
      for (row, source) in order.enumerated() {
        (reordered.buffer.pointer + view.offset + row * width).update(
          from: parameters.buffer.pointer + view.offset + source * width, count: width)
      }
    }
    parameters = reordered
  }

  /// Numbers for a card that a file has told, read by `read`. No file makes anyone allocate more than it holds.
  fileprivate init(card: ModelMetadata, _ path: String, _ read: (Parameters) throws -> Void) throws {
    let needed = card.parameterLayout.parameterCount * MemoryLayout<Float16>.size
    guard try needed <= FileSystem.status(path).size else {
      throw CheckpointError.malformed(
        path: path, problem: "expected at least \(needed) bytes for a model as its configuration says, found fewer")
    }
    parameters = try Parameters(card.parameterLayout)
    try read(parameters)
    self.card = card
  }
}

/// How many bits each number takes in a file.
public enum Precision: String, CaseIterable, Sendable {
  /// 32: bit for bit what was learned.
  case single
  /// 16 (IEEE 754 binary16): half the file, each number rounded to 11 significant bits.
  case half

  /// Numbers of a tensor in half precision. Throws `CheckpointError.tooLargeForHalf` for one that it has no room for.
  public static func halves(_ values: some Sequence<Float>, of tensor: String) throws -> [Float16] {
    try values.map { value in
      let half = Float16(value)
      guard half.isFinite || !value.isFinite else {
        throw CheckpointError.tooLargeForHalf(tensor: tensor, value: value)
      }
      return half
    }
  }
}

/// The model file: a checkpoint without the optimizer, lane states and curves. checkpoints/README.md describes it.
extension TrainedModel {
  static let kind = "model"
  static let formatVersion = 1

  /// Writes the file whole or not at all. Throws `HDF5Error`, `FileError`, and `CheckpointError.tooLargeForHalf` for a
  /// number that half precision cannot hold.
  public func save(to path: String, precision: Precision) throws {
    let writer = try HDF5Writer(kind: Self.kind, formatVersion: Self.formatVersion)
    try card.write(to: writer)
    switch precision {
    case .single: try writer.write(parameters.buffer, parameters.layout, under: "/parameters")
    case .half: try writeHalf(to: writer)
    }
    try writer.save(to: path)
  }

  private func writeHalf(to writer: HDF5Writer) throws {
    for view in parameters.layout.tensors {
      let halves = try Precision.halves(parameters.buffer.values[view.range], of: view.name)
      try halves.withUnsafeBufferPointer { try writer.write($0, shape: view.shape, at: "/parameters/\(view.name)") }
    }
  }

  /// Reads a file that `save` wrote. Throws `HDF5Error`, `FileError`, `CheckpointError`, `KernelError`.
  public init(modelFile path: String) throws {
    let reader = try HDF5Reader(path: path, kind: Self.kind, newestVersion: Self.formatVersion)
    try self.init(card: ModelMetadata(reader, path: path), path) { parameters in
      for view in parameters.layout.tensors { try Self.read(view, into: parameters, from: reader) }
    }
  }

  private static func read(_ view: TensorSpec, into parameters: Parameters, from reader: HDF5Reader) throws {
    let place = "/parameters/\(view.name)"
    let values = UnsafeMutableBufferPointer(rebasing: parameters.buffer.values[view.range])
    guard try reader.elementType(at: place) == .float16 else {
      return try reader.read(place, shape: view.shape, into: values)
    }
    try withUnsafeTemporaryAllocation(of: Float16.self, capacity: view.count) { halves in
      try reader.read(place, shape: view.shape, into: halves)
      for index in halves.indices { values[index] = Float(halves[index]) }
    }
  }
}
