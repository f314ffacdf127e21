/// The lines of a text. A line ends with "\n" or "\r\n" and with nothing else: a "\r" alone, U+0085, U+2028, U+2029, form
/// feeds and vertical tabs are part of a line, as they are for the tokenizers. Whatever cuts bytes into lines does it here.
public enum TextLines {
  /// A line without the end it may have.
  public static func withoutEnd<Bytes: BidirectionalCollection>(_ line: Bytes) -> Bytes.SubSequence
  where Bytes.Element == UInt8 {
    guard line.last == UInt8(ascii: "\n") else { return line[...] }
    let text = line.dropLast()
    return text.last == UInt8(ascii: "\r") ? text.dropLast() : text
  }

  /// All lines of a text, without their ends. The last need not have one.
  public static func of<Bytes: BidirectionalCollection>(_ text: Bytes) -> [Bytes.SubSequence]
  where Bytes.Element == UInt8 {
    var lines: [Bytes.SubSequence] = []
    var start = text.startIndex
    while start != text.endIndex {
      let end = text[start...].firstIndex(of: UInt8(ascii: "\n")).map { text.index(after: $0) } ?? text.endIndex
      lines.append(withoutEnd(text[start..<end]))
      start = end
    }
    return lines
  }
}
