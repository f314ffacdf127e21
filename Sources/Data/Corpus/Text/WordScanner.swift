/// The longest word of a vocabulary, in bytes: longer ones, as texts taken from the web have, are unknown words.
let maximumWordLength = 1 << 16

/// Calls `word` with every word of a piece of text and `lineEnd` at every "\n", in order. A word cut by the
/// end of a piece that is not the last is left for the next. Returns how many bytes were consumed.
@inline(__always)
func scanWords(
  _ piece: UnsafeRawBufferPointer, isLast: Bool,
  word: (_ bytes: UnsafeRawBufferPointer, _ offset: Int) throws(TextFault) -> Void, lineEnd: () -> Void
) throws(TextFault) -> Int {
  var start = 0  // of the word being read, or where the next may start
  var index = 0

  @inline(__always)
  func endWord() throws(TextFault) {
    if index > start {
      try word(UnsafeRawBufferPointer(rebasing: piece[start..<index]), start)
    }
  }

  while index < piece.count {
    let byte = piece[index]
    if byte < 0x80 {
      if byte > 0x20 || !isWhiteSpace(UInt32(byte)) {
        index += 1
        continue
      }
      try endWord()
      if byte == UInt8(ascii: "\n") { lineEnd() }
      index += 1
      start = index
      continue
    }
    switch piece.multibyteScalar(at: index) {
    case .scalar(let scalar, let length):
      if isWhiteSpace(scalar) {
        try endWord()
        start = index + length
      }
      index += length
    case .cut where !isLast:
      index = piece.count  // nothing after it: the rest belongs to the next piece
    case .cut, .invalid: throw .invalidUTF8(piece, at: index)
    }
  }
  guard isLast else { return start }
  try endWord()
  return index
}

/// The white space of `TokenizerKind.words`.
@inline(__always)
func isWhiteSpace(_ scalar: UInt32) -> Bool {
  switch scalar {
  case 0x09...0x0D, 0x20, 0xA0, 0x1680, 0x2000...0x200A, 0x202F, 0x205F, 0x2060, 0x3000: true
  default: false
  }
}
