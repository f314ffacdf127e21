/// The layout of a token file, little-endian throughout:
///
///     0   8 bytes   "LKSTPTOK"
///     8   UInt32    version, 1
///     12  UInt32    width: bytes per token, 1, 2 or 4
///     16  UInt64    how many tokens
///     24  40 bytes  zero
///     64            the tokens, unsigned
struct TokenFormat: Equatable {
  let width: Int
  let tokens: Int

  static let magic = Array("LKSTPTOK".utf8)
  static let version = 1
  static let headerSize = 64

  var fileSize: Int { TokenFormat.headerSize + tokens * width }

  init(width: Int, tokens: Int) {
    self.width = width
    self.tokens = tokens
  }

  /// The smallest width that holds every token of a vocabulary.
  static func width(vocabularySize: Int) -> Int {
    switch vocabularySize {
    case ...0x100: 1
    case ...0x1_0000: 2
    default: 4
    }
  }

  var header: [UInt8] {
    var header = TokenFormat.magic
    withUnsafeBytes(of: UInt32(TokenFormat.version).littleEndian) { header += $0 }
    withUnsafeBytes(of: UInt32(width).littleEndian) { header += $0 }
    withUnsafeBytes(of: UInt64(tokens).littleEndian) { header += $0 }
    return header + [UInt8](repeating: 0, count: TokenFormat.headerSize - header.count)
  }
}
