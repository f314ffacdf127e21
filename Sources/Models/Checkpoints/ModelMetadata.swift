import Corpus
import Files
import Foundation
import HDF5Files
import Kernels
import TaskMetrics
import Networks
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
  /// Metrics of the test text; empty without one, and before the end.
  public var test: [String: Double] = [:]
  /// Metrics of the best evaluation on schedule.
  public var best: [String: Double] = [:]
  /// The newest last.
  public private(set) var samples: [Sample] = []
  /// Whether the run has ended, these results included.
  public var isComplete = false

  /// So many samples are kept.
  static let mostSamples = 500

  public init() {}

  public mutating func add(_ new: [Sample]) { samples = (samples + new).suffix(Self.mostSamples) }

  /// The run goes on after its end: samples stay, the end's own results go.
  public mutating func reopen() {
    test = [:]
    isComplete = false
  }

  private enum CodingKeys: CodingKey, CaseIterable { case samples, isComplete }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try encoder.encode(metrics: test, prefix: "test")
    try encoder.encode(metrics: best, prefix: "best")
    try container.encode(samples, forKey: .samples)
    try container.encode(isComplete, forKey: .isComplete)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    samples = try container.decode([Sample].self, forKey: .samples)
    isComplete = try container.decode(Bool.self, forKey: .isComplete)
    test = try decoder.metrics(besides: CodingKeys.allCases, prefix: "test")
    best = try decoder.metrics(besides: CodingKeys.allCases, prefix: "best")
    // Files of before have the loss of a language model alone.
    if test.count == 1, let loss = test["loss"] { test = Self.values(ofLoss: loss) }
  }

  static func values(ofLoss loss: Double) -> [String: Double] {
    Measures.ofLanguageModels.evaluation.values(of: [loss, 1])
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
    "lockstep \(program), oneDNN \(oneDNN) (\(instructionSet)), \(counted(ranks, "rank")) of \(counted(threads, "thread"))"
  }
}

/// What is known of a model beside its numbers: what it is, what it learned from and how well it does. Every file that
/// holds a model holds this.
public struct ModelMetadata: Sendable {
  /// Of the run that made it; `configuration.model` is its shape.
  public var configuration: RunConfiguration
  public var vocabulary: Vocabulary
  public var progress: TrainingProgress
  public var results: RunResults
  public var corpus: CorpusIdentity
  public var provenance: Provenance

  public init(
    configuration: RunConfiguration, vocabulary: Vocabulary, progress: TrainingProgress, results: RunResults,
    corpus: CorpusIdentity, provenance: Provenance
  ) {
    self.configuration = configuration
    self.vocabulary = vocabulary
    self.progress = progress
    self.results = results
    self.corpus = corpus
    self.provenance = provenance
  }

  public var parameterLayout: ParameterLayout {
    ParameterLayout(configuration.model, vocabularySize: vocabulary.count)
  }
}

// MARK: - In files

extension ModelMetadata {
  /// All of it as texts, for files that hold texts by name: `configuration` (YAML), `progress`, `results`, `corpus`,
  /// `provenance`, `vocabulary` (JSON) and `tokenizer`.
  public func texts() throws -> [String: String] {
    var texts = try parts()
    texts["tokenizer"] = vocabulary.kind.rawValue
    texts["vocabulary"] = String(decoding: try vocabulary.json(), as: UTF8.self)
    return texts
  }

  /// From what `texts` returned; `source` names the file in errors. Throws `CheckpointError`, `ConfigurationError`,
  /// `CorpusError`.
  public init(texts: [String: String], source: String) throws {
    func text(_ name: String) throws -> String {
      if let text = texts[name] { return text }
      throw CheckpointError.malformed(path: source, problem: "expected \(name), found nothing")
    }
    let kind = try Self.tokenizer(text("tokenizer"), source)
    let vocabulary = try Vocabulary(kind: kind, json: text("vocabulary").utf8, source: "\(source), vocabulary")
    try self.init(vocabulary: vocabulary, source: source, text)
  }

  func write(to writer: HDF5Writer) throws {
    for (name, text) in try parts().sorted(by: { $0.key < $1.key }) { try writer.write(text: text, at: "/\(name)") }
    try writer.write(vocabulary)
  }

  /// `path` names the file in errors.
  init(_ reader: HDF5Reader, path: String) throws {
    try self.init(vocabulary: reader.vocabulary(path), source: path) { try reader.text(at: "/\($0)") }
  }

  /// All but the vocabulary, which HDF5 files hold as numbers.
  private func parts() throws -> [String: String] {
    [
      "configuration": try ConfigurationReader.yaml(of: configuration), "progress": try json(progress),
      "results": try json(results), "corpus": try json(corpus), "provenance": try json(provenance),
    ]
  }

  private init(vocabulary: Vocabulary, source: String, _ text: (String) throws -> String) throws {
    func part<Value: Codable>(_ name: String, over defaults: Value) throws -> Value {
      let text = try text(name)
      do {
        try StrictJSON.check(text, bytes: name == "results" ? 16 << 20 : 1 << 20, values: 100_000)
        return try decode(Data(text.utf8), over: defaults)
      } catch {
        throw CheckpointError.malformed(
          path: "\(source), \(name)", problem: "expected JSON as Lockstep writes it: \("\(error)".prefix(300))")
      }
    }
    self.vocabulary = vocabulary
    configuration = try ConfigurationReader.read(record: text("configuration"), name: "\(source), configuration")
    progress = try part("progress", over: TrainingProgress())
    results = try part("results", over: RunResults())
    if results.best.isEmpty, let loss = progress.best { results.best = RunResults.values(ofLoss: loss) }
    corpus = try part("corpus", over: CorpusIdentity())
    provenance = try part("provenance", over: Provenance())
  }

  fileprivate static func tokenizer(_ name: String, _ source: String) throws -> TokenizerKind {
    if let kind = TokenizerKind(rawValue: name) { return kind }
    throw CheckpointError.malformed(
      path: "\(source), vocabulary", problem: "expected a tokenizer this program has, found \(name.prefix(40))")
  }
}

extension HDF5Writer {
  /// The tensors of a flat buffer, each under its name.
  func write(_ buffer: FloatBuffer, _ layout: ParameterLayout, under group: String) throws {
    for view in layout.tensors {
      let values = UnsafeBufferPointer(rebasing: buffer.values[view.range])
      try write(values, shape: view.shape, at: "\(group)/\(view.name)")
    }
  }

  /// One run of bytes and the end of each entry: words may hold any byte but white space, characters a NUL,
  /// which strings of HDF5 cannot.
  fileprivate func write(_ vocabulary: Vocabulary) throws {
    var bytes: [UInt8] = []
    var ends: [Int64] = []
    for entry in vocabulary.entries {
      bytes += entry.utf8
      ends.append(Int64(bytes.count))
    }
    try write(bytes, at: "/vocabulary/bytes")
    try write(ends, at: "/vocabulary/ends")
    try attribute("tokenizer", vocabulary.kind.rawValue, at: "/vocabulary")
  }
}

extension HDF5Reader {
  func read(_ group: String, into buffer: FloatBuffer, _ layout: ParameterLayout) throws {
    for view in layout.tensors {
      let values = UnsafeMutableBufferPointer(rebasing: buffer.values[view.range])
      try read("\(group)/\(view.name)", shape: view.shape, into: values)
    }
  }

  fileprivate func vocabulary(_ path: String) throws -> Vocabulary {
    let kind = try ModelMetadata.tokenizer(attribute("tokenizer", at: "/vocabulary"), path)
    let bytes = try array(of: UInt8.self, at: "/vocabulary/bytes")
    var entries: [String] = []
    var start = 0
    for end in try array(of: Int64.self, at: "/vocabulary/ends") {
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
