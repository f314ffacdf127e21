import Files

/// A folder of prepared tokens, opened: its manifest and vocabulary are read and checked, its token files
/// when they are first read.
public struct PreparedCorpus: Sendable {
  public let directory: String
  public let manifest: CorpusManifest
  public let vocabulary: Vocabulary

  /// Throws `CorpusError` if the folder has no manifest, or one by a newer program, or is damaged.
  public init(directory: String) throws {
    self.directory = directory
    let manifest = try CorpusManifest(directory: directory)
    self.manifest = manifest
    let path = "\(directory)/\(manifest.vocabulary.file)"
    vocabulary = try MappedFile.withBytes(of: path) { bytes in
      var digest = Digest()
      digest.update(bytes)
      let found = digest.hex()
      guard found == manifest.vocabulary.sha256 else {
        throw CorpusError(
          path, "expected SHA-256 \(manifest.vocabulary.sha256), found \(found)",
          remedy: CorpusManifest.remedy)
      }
      return try Vocabulary(kind: manifest.tokenizer, json: bytes, source: path)
    }
    guard vocabulary.count == manifest.vocabulary.size else {
      throw CorpusError(
        path, "expected \(manifest.vocabulary.size) tokens, found \(vocabulary.count)",
        remedy: CorpusManifest.remedy)
    }
    for part in CorpusPart.allCases {
      let (expected, found) = (
        manifest.parts[part].tokens, manifest.parts[part].shards.reduce(0) { $0 + $1.tokens }
      )
      guard expected == found else {
        throw CorpusError(
          "\(directory)/\(CorpusManifest.fileName)",
          "expected \(expected) tokens in the shards of \(part.rawValue), found \(found)",
          remedy: CorpusManifest.remedy)
      }
    }
  }

  /// A reader of one part, for one thread. The part may be empty.
  public func part(_ part: CorpusPart) -> TokenReader {
    TokenReader(directory: directory, part: manifest.parts[part], vocabularySize: vocabulary.count)
  }
}
