import Files

/// The tokens of a text file, encoded when they are read: a text of any size takes the memory of a few pieces of it.
/// For one thread.
public final class TextTokens: TokenSource {
  public let count: Int
  /// Unicode scalars of the text, a byte-order mark aside; of bytes that are no UTF-8, those that begin none count not.
  public let characters: Int

  /// Words that the vocabulary lacks.
  public let unknownTokens: Int

  private let text: TextStretch
  private let tokenizer: Tokenizer
  /// Where each piece begins, and behind the last where the text ends.
  private let starts: [(token: Int, byte: Int)]
  /// Pieces as tokens, the one last read at the end.
  private var recent: [(piece: Int, tokens: [Int32])] = []
  private let keptPieces: Int

  /// Bytes encoded in one go.
  public static let pieceSize = 1 << 15

  /// Reads the text once, to count. `lanes` places of it can be read in turn without encoding anything twice.
  /// `name` is what the file is called in messages. `progress` is told bytes done and in all. Throws `FileError`,
  /// `PackedFileError`, and `CorpusError` as `Tokenizer.encode` does.
  public init(
    file path: String, name: String? = nil, tokenizer: Tokenizer, lanes: Int = 1, pieceSize: Int = TextTokens.pieceSize,
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws {
    let text = try TextStretch(wholeOf: path, name: name)
    self.text = text
    self.tokenizer = tokenizer
    keptPieces = 2 * lanes  // two for a window across their border
    var sizes: [(tokens: Int, bytes: Int)] = []
    var done = 0
    var unknown = 0
    try tokenizer.encode(text, pieceSize: pieceSize) { tokens, piece in
      if piece.isEmpty { return }
      sizes.append((tokens.count, piece.count))
      done += piece.count
      if tokenizer.vocabulary.kind == .words { unknown += tokens.count { $0 == Vocabulary.unknown } }
      progress(done, text.range.count)
    }
    // What no piece has consumed is the mark at the beginning.
    starts = sizes.reduce(into: [(0, text.range.count - done)]) { starts, size in
      let last = starts[starts.count - 1]
      starts.append((last.token + size.tokens, last.byte + size.bytes))
    }
    unknownTokens = unknown
    count = starts[starts.count - 1].token
    characters = try Self.characters(of: path, from: starts[0].byte)
  }

  private static func characters(of path: String, from start: Int) throws -> Int {
    let file = try MappedFile(path)
    return withExtendedLifetime(file) {
      stride(from: start, to: file.bytes.count, by: TextStretch.pieceSize).reduce(0) { total, start in
        let piece = start..<min(start + TextStretch.pieceSize, file.bytes.count)
        defer { file.release(piece) }
        return total + file.bytes[piece].count { $0 & 0xc0 != 0x80 }
      }
    }
  }

  public func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) throws {
    precondition(range.lowerBound >= 0 && range.upperBound <= count && range.count <= output.count)
    var next = range.lowerBound
    while next < range.upperBound {
      let piece = piece(of: next)
      let tokens = try tokens(of: piece)
      let end = min(range.upperBound, starts[piece + 1].token)
      for index in next..<end { output[index - range.lowerBound] = tokens[index - starts[piece].token] }
      next = end
    }
  }

  /// One token.
  public func token(at place: Int) throws -> Int32 {
    let piece = piece(of: place)
    return try tokens(of: piece)[place - starts[piece].token]
  }

  /// They have all been read once.
  public func verify(_ range: Range<Int>, meanwhile: () throws -> Void) {}

  /// The piece with a token: the last that begins at it or before, and is not empty.
  private func piece(of token: Int) -> Int {
    var (low, high) = (0, starts.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle].token <= token { low = middle } else { high = middle }
    }
    return low
  }

  private func tokens(of piece: Int) throws -> [Int32] {
    if let index = recent.firstIndex(where: { $0.piece == piece }) {
      recent.append(recent.remove(at: index))
    } else {
      if recent.count >= keptPieces { recent.removeFirst() }
      recent.append((piece, try encode(piece)))
    }
    return recent[recent.count - 1].tokens
  }

  private func encode(_ piece: Int) throws -> [Int32] {
    let (start, end) = (starts[piece], starts[piece + 1])
    var tokens: [Int32] = []
    tokens.reserveCapacity(end.token - start.token)
    try tokenizer.encode(TextStretch(path: text.path, name: text.name, range: start.byte..<end.byte)) { encoded, _ in
      tokens.append(contentsOf: encoded)
    }
    guard tokens.count == end.token - start.token else {
      throw CorpusError(
        text.name,
        "expected \(counted(end.token - start.token, "token")) from byte \(start.byte) on, found \(tokens.count): it changed "
          + "while being read", remedy: "start again when nothing writes to it")
    }
    return tokens
  }
}
