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

  // MARK: What it tells

  /// Texts that the tokens were made of.
  public var textCount: Int {
    [settings.text, settings.train, settings.validation, settings.test].reduce(0) { $0 + $1.paths.count }
  }

  /// What whoever learns from this corpus should know: parts that were asked for and are empty, and those mostly of `<unk>`.
  public var warnings: [String] {
    CorpusPart.allCases.flatMap { part in [emptiness(of: part), unknownShare(of: part)].compactMap { $0 } }
  }

  private func emptiness(of part: CorpusPart) -> String? {
    let tokens = parts[part].tokens
    guard part != .train, tokens < CorpusManifest.fewestTokens else { return nil }
    let found = "the \(part.name) part has \(counted(tokens, "token")), so nothing is evaluated on it"
    if !settings.train.isEmpty {
      return settings[part].isEmpty ? nil : "\(found); name a longer text in corpus.\(part.rawValue)"
    }
    let place = part == .validation ? 1 : 2
    guard settings.split.count == 3, settings.split[place] > 0 else { return nil }
    return "\(found); give more text, or a larger \(part == .validation ? "second" : "third") number in corpus.split"
  }

  private func unknownShare(of part: CorpusPart) -> String? {
    let (tokens, unknown) = (parts[part].tokens, parts[part].unknownTokens)
    guard Vocabulary.isMostlyUnknown(unknown, of: tokens) else { return nil }
    return
      "\(unknown) of the \(tokens) tokens of the \(part.name) part are <unk>, more than a third: perplexities say "
      + "little; use a vocabulary that has the words of the text"
  }

  /// One to read and one to predict.
  static let fewestTokens = 2

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

  func write(to directory: String, _ permissions: TextPermissions) throws {
    let file = try OutputFile("\(directory)/\(CorpusManifest.fileName)", permissions: permissions.file)
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
