import Files

/// A stretch of one text file, by byte offsets.
struct TextStretch: Equatable, Sendable {
  let path: String
  /// What the file is called in messages.
  let name: String
  let range: Range<Int>

  /// How much of a file is looked at in one go, in bytes: what is resident of a text of any size.
  static let pieceSize = 1 << 22

  init(path: String, name: String? = nil, range: Range<Int>) {
    self.path = path
    self.name = name ?? path
    self.range = range
  }

  /// Throws `FileError`, and `PackedFileError` for what is compressed or an archive.
  init(wholeOf path: String, name: String? = nil) throws {
    let file = try MappedFile(path)
    self.init(path: path, name: name, range: 0..<file.bytes.count)
    try withExtendedLifetime(file) { try Packing.refuse(file.bytes, of: self.name) }
  }

  /// Hands the text to `body` piece by piece, with the place of each in the file. `body` returns how many bytes it consumed,
  /// from the front; the next piece begins with the first it did not, so what a piece's end cuts is seen whole in the next. All
  /// of the last piece must be consumed.
  ///
  /// Throws `CorpusError` with line and byte offset for a `TextFault`.
  func read(
    droppingMark: Bool, pieceSize: Int = TextStretch.pieceSize,
    _ body: (_ piece: UnsafeRawBufferPointer, _ offset: Int, _ isLast: Bool) throws -> Int
  ) throws {
    let file = try MappedFile(path)
    try withExtendedLifetime(file) {
      guard file.bytes.count >= range.upperBound else {
        throw CorpusError(
          name, "expected \(range.upperBound) bytes, found \(file.bytes.count): it changed while being read",
          remedy: "start again when nothing writes to it")
      }
      var start = range.lowerBound
      if droppingMark && start == 0 && file.bytes[range].starts(with: byteOrderMark) {
        start = byteOrderMark.count
      }
      var size = pieceSize
      while start < range.upperBound {
        let end = min(start + size, range.upperBound)
        let piece = UnsafeRawBufferPointer(rebasing: file.bytes[start..<end])
        let consumed: Int
        do {
          consumed = try body(piece, start, end == range.upperBound)
        } catch let fault as TextFault {
          throw CorpusError(fault, in: file.bytes, at: start + fault.offset, of: name)
        }
        file.release(start..<start + consumed)
        start += consumed
        size = consumed > 0 ? pieceSize : size * 2  // nothing whole in it: look further
      }
    }
  }
}

/// U+FEFF in UTF-8, which some programs put at the start of a file.
let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

extension CorpusError {
  /// A fault of a text, placed by line (from 1) and byte offset (from 0); that of a line, by the offset alone.
  init(
    _ fault: TextFault, in text: UnsafeRawBufferPointer, at offset: Int, of source: String, isLine: Bool = false
  ) {
    let place = isLine ? "\(source), byte \(offset)" : textPlace(text, at: offset, of: source)
    self.init(place, fault.problem, remedy: fault.remedy)
  }
}

/// A place of a text, for messages.
func textPlace(_ text: UnsafeRawBufferPointer, at offset: Int, of source: String) -> String {
  let line = 1 + text[..<offset].count { $0 == UInt8(ascii: "\n") }
  return "\(source), line \(line), byte \(offset)"
}
