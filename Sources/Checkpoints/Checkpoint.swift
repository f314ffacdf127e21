import Corpus
import Foundation
import HDF5Files
import Kernels
import Model
import Training

/// Text that a model wrote, and all it takes to write it again.
public struct Sample: Codable, Equatable, Sendable {
  /// Steps the model had learned for.
  public var step: Int
  public var temperature: Double
  public var seed: UInt64
  /// Of the seed: each sample written at one time has its own.
  public var stream: Int
  public var prompt: String
  public var text: String

  public init(step: Int, temperature: Double, seed: UInt64, stream: Int, prompt: String, text: String) {
    self.step = step
    self.temperature = temperature
    self.seed = seed
    self.stream = stream
    self.prompt = prompt
    self.text = text
  }
}

/// What a run has to show beside its model and curves.
public struct RunResults: Codable, Equatable, Sendable {
  /// Nats per token of the test text; nil without one, and before the end.
  public var testLoss: Double?
  /// The newest last.
  public private(set) var samples: [Sample] = []
  /// Whether the run has come to its end, these results included.
  public var isComplete = false

  /// So many samples are kept.
  static let mostSamples = 500

  public init() {}

  public mutating func add(_ new: [Sample]) { samples = (samples + new).suffix(Self.mostSamples) }

  /// The run goes on after its end: samples stay, the end's own results go.
  public mutating func reopen() {
    testLoss = nil
    isComplete = false
  }
}

/// The tokens a run learns from.
public struct CorpusIdentity: Codable, Equatable, Sendable, CustomStringConvertible {
  /// Digest of the prepared tokens.
  public var fingerprint = ""
  public var trainingTokens = 0
  public var validationTokens = 0
  public var testTokens = 0
  public var vocabularySize = 0

  public init() {}

  public var description: String {
    "\(trainingTokens), \(validationTokens) and \(testTokens) tokens of training, validation and test, \(vocabularySize) "
      + "different ones (fingerprint \(fingerprint.prefix(12)))"
  }
}

/// What made a checkpoint: bits depend on these, so a run that must repeat them needs the same.
public struct Provenance: Codable, Equatable, Sendable, CustomStringConvertible {
  public var program = ""
  public var oneDNN = ""
  public var instructionSet = ""
  public var threads = 0
  public var ranks = 0

  init() {}

  public init(program: String, oneDNN: String, instructionSet: String, threads: Int, ranks: Int) {
    self.program = program
    self.oneDNN = oneDNN
    self.instructionSet = instructionSet
    self.threads = threads
    self.ranks = ranks
  }
}

extension Provenance {
  public var description: String {
    "lockstep \(program), oneDNN \(oneDNN) (\(instructionSet)), \(ranks) ranks of \(threads) threads"
  }
}

/// Everything a run needs to go on, and everything a model needs to be used. checkpoints/README.md describes
/// the file.
public struct Checkpoint: Sendable {
  public var configuration: RunConfiguration
  public var progress: TrainingProgress
  public var vocabulary: Vocabulary
  public var corpus: CorpusIdentity
  public var parameters: Parameters
  public var optimizerSlots: [(name: String, buffer: FloatBuffer)]
  /// Recurrent states of all lanes, in order.
  public var laneStates: [Float]
  public var curves: Curves
  public var results: RunResults
  public var provenance: Provenance

  public init(
    configuration: RunConfiguration, progress: TrainingProgress, vocabulary: Vocabulary,
    corpus: CorpusIdentity, parameters: Parameters,
    optimizerSlots: [(name: String, buffer: FloatBuffer)], laneStates: [Float], curves: Curves,
    results: RunResults, provenance: Provenance
  ) {
    self.configuration = configuration
    self.progress = progress
    self.vocabulary = vocabulary
    self.corpus = corpus
    self.parameters = parameters
    self.optimizerSlots = optimizerSlots
    self.laneStates = laneStates
    self.curves = curves
    self.results = results
    self.provenance = provenance
  }

  /// Copies of the numbers that go on changing, into memory that is kept for the next one.
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
    try writer.write(text: ConfigurationReader.yaml(of: configuration), at: "/configuration")
    try writer.write(text: json(progress), at: "/progress")
    try writer.write(text: json(results), at: "/results")
    try writer.write(text: json(provenance), at: "/provenance")
    try writer.write(text: json(corpus), at: "/corpus")
    try write(vocabulary, to: writer)
    try write(parameters.buffer, parameters.layout, under: "/parameters", to: writer)
    for slot in optimizerSlots {
      try write(slot.buffer, parameters.layout, under: "/optimizer/\(slot.name)", to: writer)
    }
    let lanes = configuration.training.batchSize
    try laneStates.withUnsafeBufferPointer {
      try writer.write($0, shape: [lanes, laneStates.count / lanes], at: "/lanes/state")
    }
    try curves.write(to: writer, under: "/curves")
    try writer.save(to: path)
  }

  private func write(
    _ buffer: FloatBuffer, _ layout: ParameterLayout, under group: String, to writer: HDF5Writer
  ) throws {
    for view in layout.views {
      let values = UnsafeBufferPointer(rebasing: buffer.values[view.range])
      try writer.write(values, shape: view.shape, at: "\(group)/\(view.name)")
    }
  }

  /// One run of bytes and the end of each entry: words may hold any byte but white space, characters a NUL,
  /// which strings of HDF5 cannot.
  private func write(_ vocabulary: Vocabulary, to writer: HDF5Writer) throws {
    var bytes: [UInt8] = []
    var ends: [Int64] = []
    for entry in vocabulary.entries {
      bytes += entry.utf8
      ends.append(Int64(bytes.count))
    }
    try writer.write(bytes, at: "/vocabulary/bytes")
    try writer.write(ends, at: "/vocabulary/ends")
    try writer.attribute("tokenizer", vocabulary.kind.rawValue, at: "/vocabulary")
  }
}

/// A checkpoint on disk, verified and open for reading.
public final class CheckpointFile {
  public let path: String
  public let configuration: RunConfiguration
  public let progress: TrainingProgress
  public let vocabulary: Vocabulary
  public let results: RunResults
  public let provenance: Provenance
  public let corpus: CorpusIdentity
  private let reader: HDF5Reader

  /// Throws `HDF5Error`, `FileError` or `CheckpointError` for a file that is not whole or not ours.
  public init(_ path: String) throws {
    self.path = path
    reader = try HDF5Reader(
      path: path, kind: Checkpoint.kind, newestVersion: Checkpoint.formatVersion)
    configuration = try ConfigurationReader.read(
      yaml: reader.text(at: "/configuration"), name: "\(path), configuration")
    progress = try Self.decode(reader, "/progress", path, over: TrainingProgress())
    results = try Self.decode(reader, "/results", path, over: RunResults())
    provenance = try Self.decode(reader, "/provenance", path, over: Provenance())
    corpus = try Self.decode(reader, "/corpus", path, over: CorpusIdentity())
    vocabulary = try Self.readVocabulary(reader, path)
  }

  public var parameterLayout: ParameterLayout {
    ParameterLayout(configuration.model, vocabularySize: vocabulary.count)
  }

  public func readParameters(into parameters: Parameters) throws {
    try read("/parameters", into: parameters.buffer, parameters.layout)
  }

  public func readOptimizer(slot: String, into buffer: FloatBuffer, layout: ParameterLayout) throws {
    try read("/optimizer/\(slot)", into: buffer, layout)
  }

  public func readLaneStates() throws -> [Float] {
    let shape = [
      configuration.training.batchSize, RecurrentState.floatsPerLane(configuration.model),
    ]
    var states = [Float](repeating: 0, count: shape[0] * shape[1])
    try states.withUnsafeMutableBufferPointer { try reader.read("/lanes/state", shape: shape, into: $0) }
    return states
  }

  public func readCurves() throws -> Curves { try Curves(reader: reader, under: "/curves") }

  private func read(_ group: String, into buffer: FloatBuffer, _ layout: ParameterLayout) throws {
    for view in layout.views {
      let values = UnsafeMutableBufferPointer(rebasing: buffer.values[view.range])
      try reader.read("\(group)/\(view.name)", shape: view.shape, into: values)
    }
  }

  private static func decode<Value: Codable>(
    _ reader: HDF5Reader, _ place: String, _ path: String, over defaults: Value
  ) throws -> Value {
    let text = try reader.text(at: place)
    do {
      return try Checkpoints.decode(Data(text.utf8), over: defaults)
    } catch {
      throw CheckpointError.malformed(
        path: "\(path), \(place)", problem: "expected JSON as it is written here: \(error)")
    }
  }

  private static func readVocabulary(_ reader: HDF5Reader, _ path: String) throws -> Vocabulary {
    let name: String = try reader.attribute("tokenizer", at: "/vocabulary")
    guard let kind = TokenizerKind(rawValue: name) else {
      throw CheckpointError.malformed(
        path: "\(path), /vocabulary", problem: "expected a tokenizer this program has, found \(name)")
    }
    let bytes = try reader.array(of: UInt8.self, at: "/vocabulary/bytes")
    var entries: [String] = []
    var start = 0
    for end in try reader.array(of: Int64.self, at: "/vocabulary/ends") {
      guard end >= start, end <= bytes.count else {
        throw CheckpointError.malformed(
          path: "\(path), /vocabulary/ends", problem: "entry \(entries.count) ends at byte \(end)")
      }
      entries.append(String(decoding: bytes[start..<Int(end)], as: UTF8.self))
      start = Int(end)
    }
    return try Vocabulary(kind: kind, entries: entries, source: "\(path), /vocabulary")
  }
}

private func json(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}

/// A value from JSON. Keys that it does not have, since it was written before there were such, are as in `defaults`.
func decode<Value: Codable>(_ data: Data, over defaults: Value) throws -> Value {
  let said = try JSONSerialization.jsonObject(with: data) as? [String: Any]
  let known = try JSONSerialization.jsonObject(with: JSONEncoder().encode(defaults)) as? [String: Any]
  // A number that is read and written again may lose a digit: only where something is missing.
  guard let said, let known, !known.keys.allSatisfy({ said[$0] != nil }) else {
    return try JSONDecoder().decode(Value.self, from: data)
  }
  return try JSONDecoder().decode(
    Value.self, from: JSONSerialization.data(withJSONObject: known.merging(said) { $1 }))
}
