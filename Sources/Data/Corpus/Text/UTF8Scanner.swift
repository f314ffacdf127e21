import Files

/// A fault at a byte offset of the piece of text being scanned; whoever cut the piece knows file and line.
struct TextFault: Error {
  let offset: Int
  let problem: String
  let remedy: String

  static func invalidUTF8(_ piece: UnsafeRawBufferPointer, at offset: Int) -> TextFault {
    TextFault(
      offset: offset,
      problem: "expected UTF-8, found byte 0x\(piece[offset].digits(2, radix: 16, uppercase: true))",
      remedy: "convert the file to UTF-8, or use the tokenizer `bytes`")
  }
}

/// The scalar that starts at a byte of a text.
enum ScalarRead {
  case scalar(UInt32, length: Int)
  /// The piece ends inside a scalar that is well-formed so far.
  case cut
  case invalid
}

extension UnsafeRawBufferPointer {
  /// Decodes the scalar of two to four bytes at `index`: well-formed UTF-8 by table 3-7 of the Unicode
  /// standard, so neither overlong forms nor surrogates.
  @inline(__always)
  func multibyteScalar(at index: Int) -> ScalarRead {
    let lead = self[index]
    let length: Int
    var scalar: UInt32
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: (length, scalar) = (2, UInt32(lead & 0x1F))
    case 0xE0...0xEF:
      (length, scalar) = (3, UInt32(lead & 0x0F))
      if lead == 0xE0 { second = 0xA0...0xBF } else if lead == 0xED { second = 0x80...0x9F }
    case 0xF0...0xF4:
      (length, scalar) = (4, UInt32(lead & 0x07))
      if lead == 0xF0 { second = 0x90...0xBF } else if lead == 0xF4 { second = 0x80...0x8F }
    default: return .invalid
    }
    var position = index + 1
    while position < index + length {
      guard position < count else { return .cut }
      let byte = self[position]
      guard position == index + 1 ? second.contains(byte) : byte & 0xC0 == 0x80 else { return .invalid }
      scalar = scalar << 6 | UInt32(byte & 0x3F)
      position += 1
    }
    return .scalar(scalar, length: length)
  }
}

/// Calls `body` with every scalar of a piece of text and its byte offset. A scalar cut by the end of a piece
/// that is not the last is left for the next. Returns how many bytes were consumed.
@inline(__always)
func scanScalars(
  _ piece: UnsafeRawBufferPointer, isLast: Bool,
  _ body: (_ scalar: UInt32, _ offset: Int) throws(TextFault) -> Void
) throws(TextFault) -> Int {
  var index = 0
  while index < piece.count {
    let byte = piece[index]
    if byte < 0x80 {
      try body(UInt32(byte), index)
      index += 1
      continue
    }
    switch piece.multibyteScalar(at: index) {
    case .scalar(let scalar, let length):
      try body(scalar, index)
      index += length
    case .cut where !isLast: return index
    case .cut, .invalid: throw .invalidUTF8(piece, at: index)
    }
  }
  return index
}
