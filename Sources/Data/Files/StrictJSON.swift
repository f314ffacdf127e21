import Foundation

/// Why a text is not read as JSON.
public struct JSONFault: Error, Equatable, CustomStringConvertible {
  /// Where in the text; nil for the text as a whole.
  public let byte: Int?
  public let problem: String

  public var description: String { (byte.map { "byte \($0): " } ?? "") + problem }
}

/// Looks at JSON that others may have written before a decoder does: within bounds, in one pass, and strictly.
///
/// Foundation's decoders take a comma behind the last value, and of a name that is given twice one value, which another
/// reader may take differently (RFC 8259, section 4). What is between commas and brackets they judge themselves.
public enum StrictJSON {
  /// Throws `JSONFault` for a text of more bytes, for more than so many values and names in all, for lists and objects
  /// that nest deeper than `depth`, for names given twice in an object, and for commas without a value.
  public static func check(_ text: some Collection<UInt8>, bytes: Int, values: Int, depth: Int = 16) throws {
    guard text.count <= bytes else {
      throw JSONFault(byte: nil, problem: "expected at most \(bytes) bytes, found \(text.count)")
    }
    var scanner = JSONScanner(bytes: Array(text), values: values, depth: depth)
    try scanner.scan()
  }

  public static func check(_ text: String, bytes: Int, values: Int, depth: Int = 16) throws {
    try check(text.utf8, bytes: bytes, values: values, depth: depth)
  }
}

private struct JSONScanner {
  let bytes: [UInt8]
  /// How many more values there may be, and in how many lists and objects the next one may stand.
  var values: Int
  var depth: Int
  var index = 0

  init(bytes: [UInt8], values: Int, depth: Int) {
    (self.bytes, self.values, self.depth) = (bytes, values, depth)
  }

  mutating func scan() throws {
    try value()
    skipWhiteSpace()
    if index < bytes.count { throw fault("the end") }
  }

  private mutating func value() throws {
    skipWhiteSpace()
    values -= 1
    if values < 0 { throw JSONFault(byte: index, problem: "expected fewer values, found more than are read") }
    switch index < bytes.count ? bytes[index] : 0 {
    case UInt8(ascii: "{"): try object()
    case UInt8(ascii: "["): try members(until: "]") { try $0.value() }
    case UInt8(ascii: "\""): try string()
    default: try word()
    }
  }

  private mutating func object() throws {
    var names: Set<[UInt8]> = []
    try members(until: "}") { scanner in
      scanner.skipWhiteSpace()
      let start = scanner.index
      try scanner.string()
      let name = try scanner.meaning(of: start..<scanner.index)
      guard names.insert(name).inserted else {
        let shown = String(decoding: name.prefix(40), as: UTF8.self)
        throw JSONFault(byte: start, problem: "expected each name once, found '\(shown)' again")
      }
      guard scanner.take(":") else { throw scanner.fault("':'") }
      try scanner.value()
    }
  }

  /// What stands between two brackets, with commas between.
  private mutating func members(
    until end: UnicodeScalar, _ member: (inout JSONScanner) throws -> Void
  ) throws {
    if depth == 0 { throw JSONFault(byte: index, problem: "expected fewer lists and objects in each other") }
    depth -= 1
    index += 1
    if !take(end) {
      repeat { try member(&self) } while take(",")
      guard take(end) else { throw fault("',' or '\(end)'") }
    }
    depth += 1
  }

  /// Goes past a text in quotes.
  private mutating func string() throws {
    guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw fault("a text in quotes") }
    let start = index
    index += 1
    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
      index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
    }
    guard index < bytes.count else {
      throw JSONFault(byte: start, problem: "expected a quote that ends this text, found none")
    }
    index += 1
  }

  /// What a text in quotes stands for: a name may be written in several ways, with escapes.
  private func meaning(of text: Range<Int>) throws -> [UInt8] {
    let inner = bytes[text.lowerBound + 1..<text.upperBound - 1]
    if !inner.contains(UInt8(ascii: "\\")) { return Array(inner) }
    guard let text = try? JSONDecoder().decode(String.self, from: Data(bytes[text])) else {
      throw JSONFault(byte: text.lowerBound, problem: "expected a text as JSON writes it, found other escapes")
    }
    return Array(text.utf8)
  }

  /// A number, true, false or null: not empty, and no text.
  private mutating func word() throws {
    let start = index
    while index < bytes.count, !Self.isDelimiter(bytes[index]) { index += 1 }
    if index == start { throw fault("a value") }
  }

  private static func isDelimiter(_ byte: UInt8) -> Bool { isWhiteSpace(byte) || "{}[],:\"".utf8.contains(byte) }

  private static func isWhiteSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  private mutating func skipWhiteSpace() {
    while index < bytes.count, Self.isWhiteSpace(bytes[index]) { index += 1 }
  }

  /// Goes past a character if it is the next.
  private mutating func take(_ character: UnicodeScalar) -> Bool {
    skipWhiteSpace()
    guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private func fault(_ expected: String) -> JSONFault {
    guard index < bytes.count else {
      return JSONFault(byte: bytes.count, problem: "expected \(expected), found the end of the text")
    }
    let byte = bytes[index]
    let found = (0x21..<0x7F).contains(byte) ? "'\(UnicodeScalar(byte))'" : "byte \(byte)"
    return JSONFault(byte: index, problem: "expected \(expected), found \(found)")
  }
}
