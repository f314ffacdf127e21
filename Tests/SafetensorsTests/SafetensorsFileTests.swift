import Foundation
import TestSupport
import Testing

@testable import Safetensors

/// The format itself: what is read, what is written and what is refused.
@Suite struct SafetensorsFileTests {
  @Test func whatAFileHoldsIsRead() throws {
    let folder = try TemporaryFolder()
    // Not in the order of their bytes, not aligned, with white space, escapes, a scalar and a tensor of nothing.
    let header = #"""
      {"__metadata__" : {"a\u00e9\ud83d\ude42\n\/" : "\"\\b\b", "é": ""},
       "second":{"data_offsets":[4,10],"shape":[1, 3],"dtype":"F16"},
       "first": {"dtype":"F32","shape":[],"data_offsets":[0,4]},
       "nothing":{"dtype":"I64","shape":[0,5],"data_offsets":[10,10]}}
      """#
    let data =
      littleEndian(Float(1.5).bitPattern) + [Float16(-2), 65504, 0x1p-24].flatMap { littleEndian($0.bitPattern) }
    let file = try SafetensorsFile(folder.write("a.safetensors", fileBytes(header + " ", data)))
    #expect(file.metadata == ["aé🙂\n/": "\"\\b\u{8}", "é": ""])
    #expect(file.tensors.map(\.name) == ["first", "second", "nothing"])
    #expect(file.tensors.map(\.shape) == [[], [1, 3], [0, 5]])
    #expect(file.tensors.map(\.count) == [1, 3, 0])
    #expect(file.tensor("first")?.type == .f32 && file.tensor("third") == nil)
    #expect(try numbers(file, "first") == [1.5])
    #expect(try numbers(file, "second") == [-2, 65504, 0x1p-24])
  }

  @Test func nothingAtAllIsAFile() throws {
    let folder = try TemporaryFolder()
    #expect(try SafetensorsFile(folder.write("a.safetensors", fileBytes("{}", []))).tensors.isEmpty)
  }

  @Test func floatsOfAllTypesAreRead() throws {
    let folder = try TemporaryFolder()
    let half = RawTensor("f16", [2], [])
    var tensors = [half, half, half, half]
    for (index, (type, bytes)) in [
      ("F16", littleEndian(UInt16(0x3555)) + littleEndian(UInt16(0x8000))),
      ("BF16", littleEndian(UInt16(0x3FC0)) + littleEndian(UInt16(0xC049))),
      ("F64", littleEndian((1.0 / 3).bitPattern) + littleEndian(1e300.bitPattern)),
      ("I32", littleEndian(Int32(7)) + littleEndian(Int32(8))),
    ].enumerated() {
      tensors[index].type = type
      tensors[index].name = type
      tensors[index].bytes = bytes
    }
    let file = try SafetensorsFile(folder.write("a.safetensors", fileBytes(tensors)))
    #expect(try numbers(file, "F16") == [0.333251953125, -0.0])
    #expect(try numbers(file, "BF16") == [1.5, -3.140625])
    #expect(try numbers(file, "F64") == [Float(1.0 / 3), .infinity])
    expectError("\"I32\"", "expected floats, found I32", "F16, BF16, F32, F64") { _ = try numbers(file, "I32") }
  }

  private func numbers(_ file: SafetensorsFile, _ name: String) throws -> [Float] {
    var numbers: [Float] = []
    try file.forEachNumber(of: try #require(file.tensor(name))) { place, value in
      #expect(place == numbers.count)
      numbers.append(value)
    }
    return numbers
  }

  @Test func whatIsWrittenIsAlignedAndInOrder() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    let tensors = [
      SafetensorsWriter.Tensor(name: "b", type: .f16, shape: [3]), .init(name: "z", type: .f32, shape: [1]),
      .init(name: "a", type: .f16, shape: [1, 2]), .init(name: "y", type: .f32, shape: [2, 1]),
    ]
    try SafetensorsWriter.write(tensors, metadata: ["k/\"": "ü\0\n"], to: path) { index, write in
      let bytes = [UInt8](repeating: UInt8(index), count: tensors[index].size)
      try bytes.prefix(2).withUnsafeBytes(write)
      try bytes.dropFirst(2).withUnsafeBytes(write)
    }
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(bytes.suffix(22) == [3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0])
    #expect((bytes.count - 22).isMultiple(of: 8))
    let file = try SafetensorsFile(path)
    #expect(file.tensors.map(\.name) == ["y", "z", "a", "b"])
    #expect(file.metadata == ["k/\"": "ü\0\n"])
  }

  struct Fault: CustomTestStringConvertible {
    let header: String
    let data: Int
    let says: [String]
    var testDescription: String { says[0] }

    init(_ header: String, _ data: Int, _ says: String...) {
      self.header = header
      self.data = data
      self.says = says
    }
  }

  static let faults = [
    Fault(#" {"#, 0, #"byte 0 of the header: expected {, found " ""#),
    Fault("", 0, "expected {, found its end"),
    Fault(#"[]"#, 0, #"expected {, found "[""#),
    Fault(#"{"a"}"#, 0, #"byte 4 of the header: expected :, found "}""#),
    Fault(#"{"a":{}}"#, 0, #"a dtype, a shape and two data_offsets of tensor "a", found less"#),
    Fault(#"{"a":1}"#, 0, #"expected {, found "1""#),
    Fault(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, 8, "expected }, found its end"),
    Fault(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}"#, 8, #"nothing after the last }, found "}""#),
    Fault("{\(a),\(a)}", 8, #"expected each name once, found "a" again"#),
    Fault(#"{"__metadata__":{"k":"1","k":"2"}}"#, 0, #"expected each name once, found "k" again"#),
    Fault(#"{"a":{"dtype":"F32","dtype":"F16"}}"#, 0, #"expected each name once, found "dtype" again"#),
    Fault(#"{"__metadata__":{"k":1}}"#, 0, #"expected ", found "1""#),
    Fault(#"{"__metadata__":{"k":null}}"#, 0, #"expected ", found "n""#),
    Fault(
      #"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, 8,
      #"tensor "a": expected a dtype such as F32, found "F31""#),
    Fault(
      #"{"a":{"dtyp":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8,
      #"expected dtype, shape or data_offsets, found "dtyp""#),
    Fault(shape("-1"), 8, #"expected a whole number, 0 or more, found "-""#),
    Fault(shape("1.5"), 8, #"expected ], found ".""#),
    Fault(shape("2e0"), 8, #"expected ], found "e""#),
    Fault(shape("02"), 8, "expected a whole number below 2^63, without zeros before it"),
    Fault(shape("9223372036854775808"), 8, "expected a whole number below 2^63"),
    Fault(shape("99999999999999999999999999"), 8, "expected a whole number below 2^63"),
    Fault(shape("[2]"), 8, #"expected a whole number, 0 or more, found "[""#),
    Fault(shape(#""2""#), 8, #"expected a whole number, 0 or more, found "\"""#),
    Fault(shape(Array(repeating: "1", count: 65).joined(separator: ",")), 4, "expected at most 64 numbers"),
    Fault(shape("4294967296,4294967296,4"), 8, "expected a shape that memory can hold", "[4294967296, 4294967296, 4]"),
    Fault(shape("9223372036854775807,0"), 8, "expected a shape that memory can hold"),
    Fault(shape("3"), 8, #"tensor "a": expected 12 bytes for F32 [3], found data_offsets of 8"#),
    Fault("{\(member("a", "0,8,16"))}", 8, "expected at most 2 numbers"),
    Fault("{\(member("a", "0"))}", 8, "two data_offsets"),
    Fault("{\(member("a", "8,0"))}", 8, "expected data_offsets that grow, found [8, 0]"),
    Fault(
      "{\(member("a", "0,9223372036854775807"))}", 8,
      "expected 8 bytes for F32 [2], found data_offsets of 9223372036854775807"),
    Fault("{\(a)}", 7, #"tensor "a": expected it to end within the 7 bytes of data, found byte 8"#),
    Fault("{\(a)}", 9, "expected 8 bytes of data, as its tensors have, found 9"),
    Fault(
      "{\(a),\(member("b", "4,12"))}", 16,
      #"tensor "b": expected it to begin where "a" ends, at byte 8, found an overlap: byte 4"#),
    Fault(
      "{\(a),\(member("b", "0,8"))}", 16, #"expected it to begin where "a" ends, at byte 8, found an overlap: byte 0"#),
    Fault(
      "{\(a),\(member("b", "9,17"))}", 17, #"expected it to begin where "a" ends, at byte 8, found a hole: byte 9"#),
    Fault(
      "{\(member("a", "8,16"))}", 16, "expected it to begin at the start of the data, at byte 0, found a hole: byte 8"),
    Fault(
      #"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, 2, "expected a shape that memory can hold, found [3]"),
    Fault("{\"a\u{1}\":{}}", 0, #"expected control characters to be escaped, found "\u{01}""#),
    Fault(#"{"\x":{}}"#, 0, "expected an escape of JSON"),
    Fault(#"{"\ud800":{}}"#, 0, "expected an escape of JSON"),
    Fault(#"{"\ud800\u0041":{}}"#, 0, "expected an escape of JSON"),
    Fault(#"{"\u12g4":{}}"#, 0, #"expected four hexadecimal digits, found "g""#),
    Fault(#"{"\"#, 0, "expected a character after the backslash, found its end"),
    Fault(#"{"a"#, 0, #"expected ", found its end"#),
    Fault("{\"a\":" + String(repeating: "[", count: 1 << 20), 0, #"byte 5 of the header: expected {, found "[""#),
    Fault(String(repeating: "{\"a\":", count: 1 << 18), 0, #"expected dtype, shape or data_offsets, found "a""#),
  ]

  private static let a = member("a", "0,8")
  private static func member(_ name: String, _ offsets: String) -> String {
    "\"\(name)\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[\(offsets)]}"
  }
  private static func shape(_ shape: String) -> String {
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[0,8]}}"
  }

  @Test(arguments: faults)
  func malformedHeadersAreRefused(fault: Fault) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a.safetensors", fileBytes(fault.header, [UInt8](repeating: 0, count: fault.data)))
    let message = message { _ = try SafetensorsFile(path) }
    for part in fault.says + [path] { #expect(message.contains(part), "\"\(part)\" in: \(message)") }
    #expect(message.utf8.count < 1000)
  }

  @Test func namesInErrorsAreHarmless() throws {
    let folder = try TemporaryFolder()
    let name = String(repeating: "\\u001b[31m", count: 100_000)
    let path = try folder.write("a.safetensors", fileBytes("{\"\(name)\":{}}", []))
    let message = message { _ = try SafetensorsFile(path) }
    #expect(message.contains(#"\u{1B}[31m"#) && message.utf8.count < 1000)
    #expect(!message.unicodeScalars.contains("\u{1B}"))
  }

  @Test func textThatIsNotUTF8IsRefused() throws {
    let folder = try TemporaryFolder()
    for name: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80]] {
      let header = Array("{\"".utf8) + name + Array("\":{}}".utf8)
      let path = try folder.write("a.safetensors", littleEndian(UInt64(header.count)) + header)
      expectError("expected text in UTF-8") { _ = try SafetensorsFile(path) }
    }
    let header = Array("{\u{A0}}".utf8)
    expectError("byte 1 of the header: expected \", found byte 194") {
      _ = try SafetensorsFile(folder.write("a.safetensors", littleEndian(UInt64(header.count)) + header))
    }
  }

  @Test func lengthsThatCannotBeAreRefused() throws {
    let folder = try TemporaryFolder()
    expectError("expected 8 bytes with the length of the header, found a file of 5") {
      _ = try SafetensorsFile(folder.write("a.safetensors", [1, 2, 3, 4, 5]))
    }
    expectError("expected 8 bytes", "found a file of 0") { _ = try SafetensorsFile(folder.write("a.safetensors", "")) }
    for length: UInt64 in [3, 1 << 31, 1 << 60, 1 << 63, .max - 7, .max] {
      expectError("expected a header of at most 2 bytes, found the length \(length)") {
        _ = try SafetensorsFile(folder.write("a.safetensors", littleEndian(length) + "{}".utf8))
      }
    }
    // A file that is long enough takes no room on the disk.
    let path = try folder.write("long.safetensors", littleEndian(UInt64(100_000_001)) + "{}".utf8)
    try FileHandle(forUpdating: URL(fileURLWithPath: path)).truncate(atOffset: 200_000_000)
    expectError("expected a header of at most 100000000 bytes, found the length 100000001") {
      _ = try SafetensorsFile(path)
    }
    expectError("no-such.safetensors", "No such file") { _ = try SafetensorsFile(folder.file("no-such.safetensors")) }
  }
}
