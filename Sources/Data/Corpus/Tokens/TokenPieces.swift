import Files

/// The tokens of a corpus in pieces of so many bytes, numbered through all its files, each with its digest: what lets some
/// of them be sent, kept and trusted without the others. Headers of token files are in none.
struct TokenPieces: Equatable, Sendable {
  /// A token file.
  struct File: Equatable, Sendable {
    let part: CorpusPart
    let shard: CorpusManifest.Shard
    let format: TokenFormat
    /// Where it begins in its part.
    let firstToken: Int
    /// The number of its first piece.
    let firstPiece: Int
    let pieceSize: Int

    var tokensPerPiece: Int { pieceSize / format.width }
    var pieces: Range<Int> { firstPiece..<firstPiece + (format.tokens * format.width + pieceSize - 1) / pieceSize }

    /// The bytes of a piece in the file.
    func bytes(of piece: Int) -> Range<Int> {
      let start = TokenFormat.headerSize + (piece - firstPiece) * pieceSize
      return start..<min(start + pieceSize, format.fileSize)
    }

    /// The pieces that hold some of its tokens.
    func pieces(of tokens: Range<Int>) -> Range<Int> {
      if tokens.isEmpty { return firstPiece..<firstPiece }
      return firstPiece + tokens.lowerBound / tokensPerPiece..<firstPiece + (tokens.upperBound - 1) / tokensPerPiece + 1
    }
  }

  let files: [File]
  /// SHA-256 of each piece, one after the other.
  let digests: [UInt8]

  static let digestSize = 32

  /// Bytes of a piece: 64 KiB, and more where that would be over 65,536 pieces, so that digests stay few.
  static func pieceSize(bytes: Int) -> Int {
    var size = 1 << 16
    while bytes / size > 1 << 16 { size *= 2 }
    return size
  }

  /// The files of a manifest, in order.
  static func files(_ manifest: CorpusManifest, pieceSize: Int? = nil) -> [File] {
    let width = TokenFormat.width(vocabularySize: manifest.vocabulary.size)
    let bytes = manifest.parts.all.reduce(0) { $0 + $1.tokens * width }
    let size = pieceSize ?? Self.pieceSize(bytes: bytes)
    var files: [File] = []
    for part in CorpusPart.allCases {
      var token = 0
      for shard in manifest.parts[part].shards {
        files.append(
          File(
            part: part, shard: shard, format: TokenFormat(width: width, tokens: shard.tokens), firstToken: token,
            firstPiece: files.last?.pieces.upperBound ?? 0, pieceSize: size))
        token += shard.tokens
      }
    }
    return files
  }

  /// Of a corpus that is whole. Reads all of it; throws `CorpusError` where it is damaged, and what `meanwhile` throws.
  init(of corpus: PreparedCorpus, pieceSize: Int? = nil, meanwhile: () throws -> Void = {}) throws {
    files = Self.files(corpus.manifest, pieceSize: pieceSize)
    try corpus.verify(meanwhile: meanwhile)
    var digests: [UInt8] = []
    for file in files {
      let mapped = try MappedFile("\(corpus.directory)/\(file.shard.file)")
      try withExtendedLifetime(mapped) {
        for piece in file.pieces {
          try meanwhile()
          digests += Digest.of(UnsafeRawBufferPointer(rebasing: mapped.bytes[file.bytes(of: piece)]))
          mapped.release(file.bytes(of: piece))
        }
      }
    }
    self.digests = digests
  }

  /// As `init(of:)` has made them elsewhere. Throws `CorpusError` for another number of digests.
  init(_ manifest: CorpusManifest, digests: [UInt8], pieceSize: Int) throws {
    files = Self.files(manifest, pieceSize: pieceSize)
    self.digests = digests
    guard digests.count == count * Self.digestSize else {
      throw CorpusError(
        "the corpus that was sent", "expected digests of \(count) pieces, found \(digests.count / Self.digestSize)",
        remedy: "use the same version of the program on all hosts")
    }
  }

  var count: Int { files.last?.pieces.upperBound ?? 0 }
  var pieceSize: Int { files.first?.pieceSize ?? 0 }

  func digest(of piece: Int) -> ArraySlice<UInt8> {
    digests[piece * Self.digestSize..<(piece + 1) * Self.digestSize]
  }

  /// Whether these are the bytes of a piece.
  func matches(_ bytes: UnsafeRawBufferPointer, _ piece: Int) -> Bool { Digest.of(bytes)[...] == digest(of: piece) }

  /// The file that a piece is in.
  func file(of piece: Int) -> File {
    var (low, high) = (0, files.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if files[middle].firstPiece <= piece { low = middle } else { high = middle }
    }
    return files[low]
  }

  /// The pieces that hold some tokens of each part, in order; all where none are named.
  func holding(_ ranges: PartMap<[Range<Int>]>?) -> [Int] {
    guard let ranges else { return Array(0..<count) }
    var isNeeded = [Bool](repeating: false, count: count)
    for file in files {
      for range in ranges[file.part] {
        let own = range.clamped(to: file.firstToken..<file.firstToken + file.format.tokens)
        for piece in file.pieces(of: own.lowerBound - file.firstToken..<own.upperBound - file.firstToken) {
          isNeeded[piece] = true
        }
      }
    }
    return isNeeded.indices.filter { isNeeded[$0] }
  }

  /// What a reader of one part holds its files against.
  func files(of part: CorpusPart) -> [PieceCheck] {
    files.filter { $0.part == part }.map { PieceCheck(file: $0, all: self) }
  }
}

/// Which pieces of a token file have been found right.
struct PieceCheck {
  private let file: TokenPieces.File
  private let all: TokenPieces
  private var isRight: [Bool]

  init(file: TokenPieces.File, all: TokenPieces) {
    self.file = file
    self.all = all
    isRight = Array(repeating: false, count: file.pieces.count)
  }

  /// Checks the pieces that hold some tokens of the file, each once.
  mutating func require(_ tokens: Range<Int>, of mapped: TokenFile, _ meanwhile: () throws -> Void) throws {
    for piece in file.pieces(of: tokens) where !isRight[piece - file.firstPiece] {
      try meanwhile()
      try mapped.verify(file.bytes(of: piece), digest: all.digest(of: piece))
      isRight[piece - file.firstPiece] = true
    }
  }
}
