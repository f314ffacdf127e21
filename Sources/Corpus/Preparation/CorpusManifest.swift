import Files
import Foundation

/// `manifest.json`: what a folder of prepared tokens holds, and what it was made from.
public struct CorpusManifest: Codable, Equatable, Sendable {
  /// The version of the folder's layout this program writes, and the newest it reads.
  public static let formatVersion = 1
  static let fileName = "manifest.json"
  /// Bytes of the file, many times what the largest number of shards takes.
  static let mostBytes = 256 << 20

  public var formatVersion = CorpusManifest.formatVersion
  public var tokenizer: TokenizerKind
  /// What it was made with: sources as absolute paths of files, without `prepared` and `cache`.
  public var settings: CorpusConfiguration
  public var vocabulary: VocabularyFile
  public var parts: PartMap<Part>
  /// All files that were read.
  public var sources: [SourceFile]
  /// SHA-256 over tokenizer, vocabulary and tokens: equal for equal tokens, wherever they came from.
  public var fingerprint: String

  public struct VocabularyFile: Codable, Equatable, Sendable {
    public var file: String
    /// How many tokens there are.
    public var size: Int
    public var sha256: String
  }

  public struct Part: Codable, Equatable, Sendable {
    public var tokens: Int
    /// How many of them are `<unk>`.
    public var unknownTokens: Int
    /// The negative natural-log probability under which the text was made, where that is known: the nats
    /// that no model can do without. `exp(sourceNats / tokens)` is the lowest perplexity there is.
    public var sourceNats: Double?
    public var shards: [Shard]
  }

  /// A token file: one stretch of a part.
  public struct Shard: Codable, Equatable, Sendable {
    public var file: String
    public var tokens: Int
    public var sha256: String
  }

  /// A file as it was when it was read.
  public struct SourceFile: Codable, Equatable, Sendable {
    public var path: String
    public var bytes: Int
    /// Time of the last change, in nanoseconds since 1970.
    public var modified: Int
  }

  init(
    settings: CorpusConfiguration, sources: [SourceFile], vocabulary: VocabularyFile, parts: PartMap<Part>
  ) {
    self.tokenizer = settings.tokenizer
    self.settings = settings
    self.sources = sources
    self.vocabulary = vocabulary
    self.parts = parts
    self.fingerprint = ""
    self.fingerprint = computedFingerprint()
  }

  private func computedFingerprint() -> String {
    var digest = Digest()
    digest.update("\(tokenizer.rawValue)\n\(vocabulary.sha256)\n")
    for part in CorpusPart.allCases {
      digest.update("\(part.rawValue) \(parts[part].tokens)\n")
      for shard in parts[part].shards { digest.update("\(shard.tokens) \(shard.sha256)\n") }
    }
    return digest.hex()
  }

  // MARK: File

  /// Reads and checks the manifest of a folder. Throws `CorpusError` if there is none, if a newer program
  /// wrote it, and if it is damaged.
  init(directory: String) throws {
    let path = "\(directory)/\(CorpusManifest.fileName)"
    guard FileSystem.exists(path) else {
      throw CorpusError(
        directory, "expected prepared tokens, found no \(CorpusManifest.fileName)",
        remedy: "prepare the text with `lockstep corpus prepare`, or name another folder")
    }
    try self.init(json: try MappedFile.withBytes(of: path) { Data($0) }, path: path)
  }

  /// Of a file's contents.
  init(json data: Data, path: String) throws {
    do {
      try StrictJSON.check(data, bytes: Self.mostBytes, values: Self.mostBytes)
    } catch let error as JSONFault {
      throw CorpusError(path, "expected a manifest (\(error))", remedy: CorpusManifest.remedy)
    }
    do {
      let version = try JSONDecoder().decode(VersionOnly.self, from: data).formatVersion
      guard version <= CorpusManifest.formatVersion else {
        throw CorpusError(
          path, "expected formatVersion \(CorpusManifest.formatVersion) or older, found \(version)",
          remedy: "use the newer program that prepared it, or prepare the text again")
      }
      self = try JSONDecoder().decode(CorpusManifest.self, from: data)
    } catch let error as DecodingError {
      throw CorpusError(path, "expected a manifest (\(error))", remedy: CorpusManifest.remedy)
    }
    let computed = computedFingerprint()
    guard fingerprint == computed else {
      throw CorpusError(
        path, "expected fingerprint \(computed), found \(fingerprint)", remedy: CorpusManifest.remedy)
    }
  }

  func write(to directory: String) throws {
    let file = try OutputFile("\(directory)/\(CorpusManifest.fileName)")
    try file.write(json())
    try file.finish()
  }

  /// What `init(json:path:)` reads.
  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// What to do about any file of a prepared folder that is not as it was written.
  static let remedy = "delete the folder and prepare the text again"

  /// The one key that every version has.
  private struct VersionOnly: Decodable { var formatVersion: Int }
}
