import Files
import Foundation

/// What a host is told of a corpus that it has not got: manifest, vocabulary, and what its tokens are held against.
public struct CorpusContents: Sendable {
  public let manifest: CorpusManifest
  /// The vocabulary's file.
  let vocabulary: [UInt8]
  let pieces: TokenPieces
  /// What others may do with its files where it is, and with copies of them.
  let permissions: TextPermissions

  /// Bytes of tokens that travel in one message, at most; a piece at least.
  static let messageSize = 1 << 20

  /// Of a corpus that is whole, all of which is read. Throws `CorpusError` where it is damaged, `FileError`, and what
  /// `meanwhile` throws.
  public init(of corpus: PreparedCorpus, pieceSize: Int? = nil, meanwhile: () throws -> Void = {}) throws {
    manifest = corpus.manifest
    vocabulary = try MappedFile.withBytes(of: "\(corpus.directory)/\(manifest.vocabulary.file)") { Array($0) }
    pieces = try TokenPieces(of: corpus, pieceSize: pieceSize, meanwhile: meanwhile)
    let paths = try [corpus.directory] + FileSystem.list(corpus.directory).map { "\(corpus.directory)/\($0)" }
    permissions = try paths.reduce(.all) {
      $0.intersection(TextPermissions(file: try FileSystem.status($1).permissions))
    }
  }

  private struct Encoded: Codable {
    let manifest: CorpusManifest
    let vocabulary: Data
    let digests: Data
    let pieceSize: Int
    let permissions: UInt32
  }

  public func encoded() throws -> [UInt8] {
    Array(
      try JSONEncoder().encode(
        Encoded(
          manifest: manifest, vocabulary: Data(vocabulary), digests: Data(pieces.digests), pieceSize: pieces.pieceSize,
          permissions: permissions.file)))
  }

  /// What `encoded` gave elsewhere.
  public init(encoded bytes: [UInt8]) throws {
    let encoded = try JSONDecoder().decode(Encoded.self, from: Data(bytes))
    manifest = encoded.manifest
    vocabulary = Array(encoded.vocabulary)
    pieces = try TokenPieces(manifest, digests: Array(encoded.digests), pieceSize: encoded.pieceSize)
    permissions = TextPermissions(file: encoded.permissions)
  }

  /// Bytes of tokens.
  public var bytes: Int { pieces.files.reduce(0) { $0 + $1.format.tokens * $1.format.width } }

  /// So many bytes do some pieces have.
  public func bytes(of pieces: Range<Int>) -> Int {
    let file = self.pieces.file(of: pieces.lowerBound)
    return file.bytes(of: pieces.upperBound - 1).upperBound - file.bytes(of: pieces.lowerBound).lowerBound
  }

  /// The messages in which some pieces travel: each some that follow each other in one file.
  public func messages(for missing: [Int]) -> [Range<Int>] {
    let most = max(1, Self.messageSize / max(1, pieces.pieceSize))
    var messages: [Range<Int>] = []
    for piece in missing {
      if let last = messages.last, last.upperBound == piece, last.count < most,
        pieces.file(of: last.lowerBound).pieces.contains(piece)
      {
        messages[messages.count - 1] = last.lowerBound..<piece + 1
      } else {
        messages.append(piece..<piece + 1)
      }
    }
    return messages
  }

  /// What a message holds, from the folder of a corpus that has it.
  public func message(_ pieces: Range<Int>, from directory: String) throws -> [UInt8] {
    let file = self.pieces.file(of: pieces.lowerBound)
    let range = file.bytes(of: pieces.lowerBound).lowerBound..<file.bytes(of: pieces.upperBound - 1).upperBound
    return try MappedFile.withBytes(of: "\(directory)/\(file.shard.file)") { bytes in
      guard bytes.count == file.format.fileSize else {
        throw CorpusError(
          "\(directory)/\(file.shard.file)", "expected bytes \(file.format.fileSize), found \(bytes.count)",
          remedy: CorpusManifest.remedy)
      }
      return Array(bytes[range])
    }
  }
}
