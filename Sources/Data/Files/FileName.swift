import Glibc

/// Names of files as text, and back. To Linux a name is bytes, most often UTF-8. A byte that is no part of that becomes the
/// private character U+EF80...U+EFFF (as in MirBSD's OPTU encodings, and much as in Python's PEP 383), so that a path which is
/// listed, stored and named again still opens. A name that has such a character itself keeps it, in the form of its three bytes.
public enum FileName {
  private static let replacements: ClosedRange<UInt32> = 0xEF80...0xEFFF
  /// What all of them begin with in UTF-8.
  private static let lead: UInt8 = 0xEE

  /// The text of a name.
  public static func text(of name: UnsafePointer<CChar>) -> String {
    let bytes = Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
    if !bytes.contains(lead), let text = String(validating: bytes, as: UTF8.self) { return text }
    var text = String.UnicodeScalarView()
    var rest = bytes[...]
    while let byte = rest.first {
      if let scalar = firstScalar(of: rest), !replacements.contains(scalar.value) {
        text.append(scalar)
        rest = rest.dropFirst(UTF8.width(scalar))
      } else {
        text.append(Unicode.Scalar(UInt32(0xEF00) + UInt32(byte))!)
        rest = rest.dropFirst()
      }
    }
    return String(text)
  }

  /// The name that a text stands for, with the 0 that ends it.
  public static func bytes(of text: String) -> [CChar] {
    guard text.utf8.contains(lead) else { return Array(text.utf8CString) }
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
      if replacements.contains(scalar.value) {
        bytes.append(UInt8(scalar.value - 0xEF00))
      } else {
        bytes += UTF8.encode(scalar)!
      }
    }
    return bytes.map(CChar.init(bitPattern:)) + [0]
  }

  /// The program's arguments, without its own name.
  public static var arguments: [String] {
    (0..<Int(CommandLine.argc)).dropFirst().compactMap { CommandLine.unsafeArgv[$0].map { text(of: $0) } }
  }

  /// The scalar that some bytes begin with; nil if it is not well-formed.
  private static func firstScalar(of bytes: ArraySlice<UInt8>) -> Unicode.Scalar? {
    for length in 1...min(4, bytes.count) {
      if let text = String(validating: bytes.prefix(length), as: UTF8.self) { return text.unicodeScalars.first }
    }
    return nil
  }
}
