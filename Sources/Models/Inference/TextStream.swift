/// Bytes that come in pieces, as text: a character that is not complete waits for the rest.
public struct TextStream {
  private var rest: [UInt8] = []

  public init() {}

  /// The text that is complete now. Bytes that no character begins with become U+FFFD.
  public mutating func add(_ bytes: [UInt8]) -> String {
    rest += bytes
    // A character has four bytes at most: look for one that has begun within the last three and has more to come.
    for back in 1...3 where back <= rest.count {
      let byte = rest[rest.count - back]
      let length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
      if byte & 0xc0 == 0x80 { continue }
      guard length > back else { break }
      defer { rest = Array(rest.suffix(back)) }
      return String(decoding: rest.dropLast(back), as: UTF8.self)
    }
    defer { rest = [] }
    return String(decoding: rest, as: UTF8.self)
  }

  /// What is left, complete or not.
  public mutating func finish() -> String {
    defer { rest = [] }
    return String(decoding: rest, as: UTF8.self)
  }
}
