import Files

/// Turns text into the tokens of a vocabulary and back. `TokenizerKind` says what the tokens are.
public struct Tokenizer: Sendable {
  public let vocabulary: Vocabulary
  /// For characters: the token of every scalar up to the largest, -1 for those without.
  private let tokenOfScalar: [Int32]

  public init(vocabulary: Vocabulary) {
    self.vocabulary = vocabulary
    tokenOfScalar = vocabulary.kind == .characters ? Tokenizer.tokenOfScalar(vocabulary) : []
  }

  private static func tokenOfScalar(_ vocabulary: Vocabulary) -> [Int32] {
    let scalars = vocabulary.entries.flatMap(\.unicodeScalars).map { Int($0.value) }
    var tokens = [Int32](repeating: -1, count: (scalars.max() ?? -1) + 1)
    for (token, scalar) in scalars.enumerated() { tokens[scalar] = Int32(token) }
    return tokens
  }

  // MARK: Encoding

  /// The tokens of a small text, a prompt for example. It is taken for a whole file: a byte-order mark at
  /// its start is dropped, except by bytes. `source` says where it is; where it is of a single line, which `isLine` says,
  /// errors name no other.
  ///
  /// Throws `CorpusError` with `source`, line and byte offset for invalid UTF-8 and for a character that the vocabulary lacks.
  public func encode(_ text: [UInt8], source: String, isLine: Bool = false) throws -> [Int32] {
    try text.withUnsafeBytes { text in
      let start = dropsMark && text.starts(with: byteOrderMark) ? byteOrderMark.count : 0
      let piece = UnsafeRawBufferPointer(rebasing: text[start...])
      do {
        return try [Int32](unsafeUninitializedCapacity: piece.count) { tokens, count in
          count = try encode(piece, isLast: true, into: tokens).tokens
        }
      } catch let fault as TextFault {
        throw CorpusError(fault, in: text, at: start + fault.offset, of: source, isLine: isLine)
      }
    }
  }

  /// Hands the tokens of a file of any size to `body`, some at a time and with the text that they came from, in memory that
  /// does not grow with the file. `name` is what the file is called in messages. Throws `CorpusError` as
  /// `encode(_:source:)` does, and what `body` throws.
  public func encode(
    file path: String, name: String? = nil,
    _ body: (_ tokens: UnsafeBufferPointer<Int32>, _ text: UnsafeRawBufferPointer) throws -> Void
  ) throws {
    try encode(TextStretch(wholeOf: path, name: name), body)
  }

  /// As `encode(file:)`, for a stretch of a file.
  func encode(
    _ stretch: TextStretch, pieceSize: Int = TextStretch.pieceSize,
    _ body: (_ tokens: UnsafeBufferPointer<Int32>, _ text: UnsafeRawBufferPointer) throws -> Void
  ) throws {
    // Not cleared: a piece with a word of a gigabyte takes no more memory than its few tokens.
    var buffer = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 0)
    defer { buffer.deallocate() }
    try stretch.read(droppingMark: dropsMark, pieceSize: pieceSize) { piece, _, isLast in
      if buffer.count < piece.count {
        buffer.deallocate()
        buffer = .allocate(capacity: piece.count)
      }
      let (consumed, tokens) = try encode(piece, isLast: isLast, into: buffer)
      try body(
        UnsafeBufferPointer(rebasing: buffer[..<tokens]), UnsafeRawBufferPointer(rebasing: piece[..<consumed]))
      return consumed
    }
  }

  private var dropsMark: Bool { vocabulary.kind != .bytes }

  /// Encodes what is whole in a piece of text. A token takes at least one byte, so `output` needs room for
  /// as many tokens as the piece has bytes.
  private func encode(
    _ piece: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableBufferPointer<Int32>
  ) throws(TextFault) -> (consumed: Int, tokens: Int) {
    var count = 0
    let consumed: Int
    switch vocabulary.kind {
    case .bytes:
      for byte in piece {
        output[count] = Int32(byte)
        count += 1
      }
      consumed = piece.count
    case .characters:
      consumed = try scanScalars(piece, isLast: isLast) { scalar, offset throws(TextFault) in
        let token = scalar < tokenOfScalar.count ? tokenOfScalar[Int(scalar)] : -1
        if token < 0 { throw unseen(scalar, at: offset) }
        output[count] = token
        count += 1
      }
    case .words:
      consumed = try scanWords(piece, isLast: isLast) { word, _ throws(TextFault) in
        output[count] = vocabulary.table.id(of: word) ?? Vocabulary.unknown
        count += 1
      } lineEnd: {
        output[count] = Vocabulary.endOfLine
        count += 1
      }
    }
    return (consumed, count)
  }

  private func unseen(_ scalar: UInt32, at offset: Int) -> TextFault {
    TextFault(
      offset: offset,
      problem: "expected a character of the vocabulary, found U+\(scalar.digits(4, radix: 16, uppercase: true))",
      remedy: "take it out of the text, or train on a text that has it")
  }

  // MARK: Decoding

  /// The text of some tokens. Characters and bytes give back exactly what was encoded; words are joined by
  /// single spaces, and `<eos>` is a line end without spaces around it.
  public func decode(_ tokens: some Sequence<Int32>) -> [UInt8] {
    var text: [UInt8] = []
    var previous: Int32?
    for token in tokens {
      text += piece(for: token, after: previous)
      previous = token
    }
    return text
  }

  /// What one more token adds to a text that ends with `previous` (nil: to an empty one): `decode` as a
  /// stream. A piece of a byte text may be part of a character. Traps if there is no such token.
  public func piece(for token: Int32, after previous: Int32?) -> [UInt8] {
    guard vocabulary.kind == .words else { return Array(vocabulary.bytes(of: token)) }
    if token == Vocabulary.endOfLine { return [UInt8(ascii: "\n")] }
    let isFirst = previous == nil || previous == Vocabulary.endOfLine
    return (isFirst ? [] : [UInt8(ascii: " ")]) + vocabulary.bytes(of: token)
  }
}
