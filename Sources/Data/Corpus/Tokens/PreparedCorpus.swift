import Files
import Foundation

/// A folder of prepared tokens, opened: its manifest and vocabulary are read and checked, its token files
/// when they are first read.
public struct PreparedCorpus: Sendable {
  public let directory: String
  public let manifest: CorpusManifest
  public let vocabulary: Vocabulary
  /// What its token files are held against piece by piece, where not all of them may be there; nil where they are whole.
  private let pieces: TokenPieces?

  /// Throws `CorpusError` if the folder has no manifest, or one by a newer program, or is damaged.
  public init(directory: String) throws {
    let manifest = try CorpusManifest(directory: directory)
    let path = "\(directory)/\(manifest.vocabulary.file)"
    let vocabulary = try MappedFile.withBytes(of: path) { try Self.vocabulary(manifest, $0, path) }
    try self.init(directory, manifest, vocabulary, nil)
  }

  /// A folder of tokens that were sent, of which only some may be there. Throws `CorpusError` if the contents do not fit
  /// together.
  init(received directory: String, _ contents: CorpusContents) throws {
    let path = "\(directory)/\(contents.manifest.vocabulary.file)"
    let vocabulary = try contents.vocabulary.withUnsafeBytes { try Self.vocabulary(contents.manifest, $0, path) }
    try self.init(directory, contents.manifest, vocabulary, contents.pieces)
  }

  private init(
    _ directory: String, _ manifest: CorpusManifest, _ vocabulary: Vocabulary, _ pieces: TokenPieces?
  ) throws {
    self.directory = directory
    self.manifest = manifest
    self.vocabulary = vocabulary
    self.pieces = pieces
    for part in CorpusPart.allCases {
      let (expected, found) = (
        manifest.parts[part].tokens, manifest.parts[part].shards.reduce(0) { $0 + $1.tokens }
      )
      guard expected == found else {
        throw CorpusError(
          "\(directory)/\(CorpusManifest.fileName)",
          "expected \(counted(expected, "token")) in the shards of \(part.rawValue), found \(found)",
          remedy: CorpusManifest.remedy)
      }
    }
  }

  private static func vocabulary(
    _ manifest: CorpusManifest, _ bytes: UnsafeRawBufferPointer, _ path: String
  ) throws -> Vocabulary {
    var digest = Digest()
    digest.update(bytes)
    let found = digest.hex()
    guard found == manifest.vocabulary.sha256 else {
      throw CorpusError(
        path, "expected SHA-256 \(manifest.vocabulary.sha256), found \(found)",
        remedy: CorpusManifest.remedy)
    }
    let vocabulary = try Vocabulary(kind: manifest.tokenizer, json: bytes, source: path)
    guard vocabulary.count == manifest.vocabulary.size else {
      throw CorpusError(
        path, "expected \(counted(manifest.vocabulary.size, "token")), found \(vocabulary.count)",
        remedy: CorpusManifest.remedy)
    }
    return vocabulary
  }

  /// A reader of one part, for one thread. The part may be empty.
  public func part(_ part: CorpusPart) -> TokenReader {
    TokenReader(
      directory: directory, part: manifest.parts[part], vocabularySize: vocabulary.count,
      pieces: pieces?.files(of: part))
  }

  /// Checks the token files that hold some of its tokens, or all. Throws `CorpusError` and `FileError`, and what
  /// `meanwhile` throws, which is called every few megabytes.
  public func verify(_ ranges: PartMap<[Range<Int>]>? = nil, meanwhile: () throws -> Void = {}) throws {
    for part in CorpusPart.allCases {
      let reader = self.part(part)
      for range in ranges?[part] ?? [0..<reader.count] { try reader.verify(range, meanwhile: meanwhile) }
    }
  }
}
