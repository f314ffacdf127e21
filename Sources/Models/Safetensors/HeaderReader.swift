import Files

/// Reads the JSON of a header. Of JSON it knows what a header may hold and no more, so nothing nests deeper than that;
/// and it refuses what parsers differ about: a name given twice, a number with a fraction or of any size.
struct HeaderReader {
  private let file: String
  private let bytes: UnsafeRawBufferPointer
  private var index = 0

  /// The most dimensions a tensor may have: those that NumPy and PyTorch allow.
  private static let mostDimensions = 64

  init(_ bytes: UnsafeRawBufferPointer, file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// The whole header: tensors, placed by their offsets in the data, and metadata.
  mutating func read() throws -> (tensors: [SafetensorsFile.Tensor], metadata: [String: String]) {
    var tensors: [SafetensorsFile.Tensor] = []
    var metadata: [String: String] = [:]
    guard bytes.first == UInt8(ascii: "{") else { throw fault(expected: "{") }
    try object { reader, name in
      if name == "__metadata__" {
        try reader.object { reader, name in metadata[name] = try reader.string() }
      } else {
        tensors.append(try reader.tensor(name))
      }
    }
    skipWhiteSpace()
    guard index == bytes.count else { throw fault(expected: "nothing after the last }") }
    return (tensors, metadata)
  }

  private mutating func tensor(_ name: String) throws -> SafetensorsFile.Tensor {
    var type: TensorType?
    var shape: [Int]?
    var offsets: [Int]?
    try object { reader, field in
      switch field {
      case "dtype":
        let found = try reader.string()
        type = TensorType(rawValue: found)
        guard type != nil else {
          throw SafetensorsError(
            reader.file, "tensor \(shown(name))", "expected a dtype such as F32, found \(shown(found))",
            remedy: "save it with one of \(TensorType.readable.map(\.rawValue).joined(separator: ", "))")
        }
      case "shape": shape = try reader.wholeNumbers(atMost: Self.mostDimensions)
      case "data_offsets": offsets = try reader.wholeNumbers(atMost: 2)
      default: throw reader.fault(expected: "dtype, shape or data_offsets", found: shown(field))
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw fault(expected: "a dtype, a shape and two data_offsets of tensor \(shown(name))", found: "less")
    }
    guard offsets[0] <= offsets[1] else {
      throw SafetensorsError(
        file, "tensor \(shown(name))", "expected data_offsets that grow, found \(offsets)", remedy: Self.remedy)
    }
    return SafetensorsFile.Tensor(name: name, type: type, shape: shape, range: offsets[0]..<offsets[1])
  }

  // MARK: - JSON

  /// An object; `member` reads the value of each name. A name may be given once.
  private mutating func object(_ member: (inout HeaderReader, _ name: String) throws -> Void) throws {
    try expect("{")
    if take("}") { return }
    var names: Set<String> = []
    repeat {
      let name = try string()
      guard names.insert(name).inserted else { throw fault(expected: "each name once", found: "\(shown(name)) again") }
      try expect(":")
      try member(&self, name)
    } while take(",")
    try expect("}")
  }

  private mutating func wholeNumbers(atMost limit: Int) throws -> [Int] {
    try expect("[")
    if take("]") { return [] }
    var numbers: [Int] = []
    repeat {
      guard numbers.count < limit else { throw fault(expected: "at most \(limit) numbers") }
      numbers.append(try wholeNumber())
    } while take(",")
    try expect("]")
    return numbers
  }

  private mutating func wholeNumber() throws -> Int {
    skipWhiteSpace()
    let start = index
    var number = 0
    while index < bytes.count, let digit = Self.digit(bytes[index]) {
      let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(digit)
      guard !overflow, !carry, index == start || bytes[start] != UInt8(ascii: "0") else {
        throw fault(expected: "a whole number below 2^63, without zeros before it")
      }
      number = sum
      index += 1
    }
    guard index > start else { throw fault(expected: "a whole number, 0 or more") }
    return number
  }

  private mutating func string() throws -> String {
    try expect("\"")
    var start = index
    var text: [UInt8] = []
    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
      guard bytes[index] >= 0x20 else { throw fault(expected: "control characters to be escaped") }
      if bytes[index] == UInt8(ascii: "\\") {
        text += bytes[start..<index]
        text += try escape().utf8
        start = index
      } else {
        index += 1
      }
    }
    text += bytes[start..<index]
    guard let string = String(validating: text, as: UTF8.self) else {
      throw fault(expected: "text in UTF-8", found: "bytes before this place that are none")
    }
    try expect("\"")
    return string
  }

  /// What a backslash and the characters after it stand for.
  private mutating func escape() throws -> String {
    index += 1
    guard index < bytes.count else { throw fault(expected: "a character after the backslash") }
    let character = bytes[index]
    index += 1
    switch character {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(UnicodeScalar(character))
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var units = [try codeUnit()]
      if UTF16.isLeadSurrogate(units[0]), bytes[index...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) {
        index += 2
        units.append(try codeUnit())
      }
      if let text = String(validating: units, as: UTF16.self) { return text }
    default: break
    }
    throw fault(expected: "an escape of JSON", found: "another before this place")
  }

  /// Four hexadecimal digits.
  private mutating func codeUnit() throws -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard index < bytes.count, let digit = Character(UnicodeScalar(bytes[index])).hexDigitValue else {
        throw fault(expected: "four hexadecimal digits")
      }
      unit = unit << 4 | UInt16(digit)
      index += 1
    }
    return unit
  }

  private static func digit(_ byte: UInt8) -> Int? {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
  }

  private mutating func skipWhiteSpace() {
    while index < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[index]) { index += 1 }
  }

  /// Goes past a character if it is the next.
  private mutating func take(_ character: UnicodeScalar) -> Bool {
    skipWhiteSpace()
    guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private mutating func expect(_ character: UnicodeScalar) throws {
    guard take(character) else { throw fault(expected: "\(character)") }
  }

  private static let remedy = "it was damaged or is no safetensors file: get it again"

  /// An error at the place that has been reached; what stands there is `found` unless that is given.
  private func fault(expected: String, found: String? = nil) -> SafetensorsError {
    let here = index < bytes.count ? "byte \(bytes[index])" : "its end"
    let character = index < bytes.count && bytes[index] < 0x80 ? shown(String(UnicodeScalar(bytes[index]))) : here
    return SafetensorsError(
      file, "byte \(index) of the header", "expected \(expected), found \(found ?? character)", remedy: Self.remedy)
  }
}
