/// Protobuf's encoding of fields (protobuf.dev/programming-guides/encoding), for what is too large to be built or taken
/// apart in memory; generated code does the rest.
enum WireFormat {
  /// What stands before a field of `length` bytes: its number with the type "bytes follow", and the length.
  static func prefix(field: Int, length: Int) -> [UInt8] { varint(field << 3 | 2) + varint(length) }

  private static func varint(_ value: Int) -> [UInt8] {
    precondition(value >= 0)
    var bytes: [UInt8] = []
    var rest = value
    while rest > 0x7f {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}

/// The fields of a message, one after the other, where they lie: nothing is copied, however large.
struct FieldReader {
  enum Contents {
    case number(UInt64)
    case bytes(UnsafeRawBufferPointer)
    /// Four or eight bytes, which no field of ours has.
    case fixed
  }

  let path: String
  private let bytes: UnsafeRawBufferPointer
  private var place = 0

  /// `path` names the file in errors. The bytes must outlive the reader.
  init(_ bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// The next field, nil at the end. Throws `ONNXError.malformed`.
  mutating func next() throws -> (number: Int, contents: Contents)? {
    guard place < bytes.count else { return nil }
    let key = try varint()
    guard let number = Int(exactly: key >> 3), (1..<1 << 29).contains(number) else {
      throw malformed("expected a field's number, found \(key >> 3)")
    }
    switch key & 7 {
    case 0: return (number, .number(try varint()))
    case 1: try take(8)
    case 2: return (number, .bytes(try take(varint())))
    case 5: try take(4)
    default: throw malformed("expected a field's type, found \(key & 7)")
    }
    return (number, .fixed)
  }

  func malformed(_ problem: String) -> ONNXError { .malformed(path: path, problem: problem) }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      guard place < bytes.count else { throw malformed("expected a number, found the end of what holds it") }
      let byte = bytes[place]
      place += 1
      value |= UInt64(byte & 0x7f) << UInt64(shift)
      if byte < 0x80 { return value }
    }
    throw malformed("expected a number of at most ten bytes, found a longer one")
  }

  @discardableResult
  private mutating func take(_ count: UInt64) throws -> UnsafeRawBufferPointer {
    guard count <= UInt64(bytes.count - place) else {
      throw malformed("expected \(count) bytes of a field, found \(bytes.count - place)")
    }
    defer { place += Int(count) }
    return UnsafeRawBufferPointer(rebasing: bytes[place..<place + Int(count)])
  }
}
