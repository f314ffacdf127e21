import HDF5Files
import TestSupport
import Testing

@Suite struct RoundTripTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("file.h5")
  }

  private func reader(_ write: (HDF5Writer) throws -> Void) throws -> HDF5Reader {
    let writer = try HDF5Writer(kind: "test", formatVersion: 3)
    try write(writer)
    try writer.save(to: path)
    return try HDF5Reader(path: path, kind: "test", newestVersion: 3)
  }

  /// Random bits as numbers of a type; compared as bits, for NaNs among them are kept too.
  private func expectRoundTrip<Element: HDF5Element>(
    _ type: Element.Type, shape: [Int], random: inout SeededRandom
  ) throws {
    let count = shape.reduce(1, *)
    let values = (0..<count).map { _ in
      withUnsafeBytes(of: random.next()) { $0.loadUnaligned(as: Element.self) }
    }
    let reader = try reader { writer in
      try values.withUnsafeBufferPointer { try writer.write($0, shape: shape, at: "/a/values") }
    }
    #expect(try reader.shape(at: "/a/values") == shape)
    let found = try [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      let target = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      try reader.read("/a/values", shape: shape, into: target)
      initialized = count
    }
    #expect(found.count == count)
    let isEqual = values.withUnsafeBytes { old in found.withUnsafeBytes { old.elementsEqual($0) } }
    #expect(isEqual)
  }

  @Test(arguments: 0..<40) func shapes(seed: Int) throws {
    var random = SeededRandom(seed: seed)
    let rank = Int.random(in: 0...5, using: &random)
    let shape = (0..<rank).map { _ in Int.random(in: 0...7, using: &random) }
    try expectRoundTrip(Float.self, shape: shape, random: &random)
    try expectRoundTrip(Double.self, shape: shape, random: &random)
    try expectRoundTrip(Int64.self, shape: shape, random: &random)
    try expectRoundTrip(UInt8.self, shape: shape, random: &random)
  }

  @Test func largeDataset() throws {
    var random = SeededRandom(seed: 1)
    try expectRoundTrip(Float.self, shape: [1001, 1733], random: &random)
  }

  @Test func arrays() throws {
    let reader = try reader {
      try $0.write([1.5, -.infinity, .leastNonzeroMagnitude], at: "/doubles")
      try $0.write([Int64.min, 0, .max], at: "/integers")
      try $0.write([UInt8](0...255), at: "/bytes")
      try $0.write([Float](), at: "/none")
    }
    #expect(try reader.array(of: Double.self, at: "/doubles") == [1.5, -.infinity, .leastNonzeroMagnitude])
    #expect(try reader.array(of: Int64.self, at: "/integers") == [.min, 0, .max])
    #expect(try reader.array(of: UInt8.self, at: "/bytes") == [UInt8](0...255))
    #expect(try reader.array(of: Float.self, at: "/none").isEmpty)
  }

  static let texts = [
    "", "plain", "größer 漢字 🧵 e\u{301}", "\0", "a\0b\0", "line\r\nline\n",
    String(repeating: "lstm\n", count: 60_000),
  ]

  @Test(arguments: texts) func textSurvives(_ text: String) throws {
    let reader = try reader {
      try $0.write(text: text, at: "/notes/\u{1f9f5} text")
      try $0.attribute("für alle", text)
      try $0.attribute("here", text, at: "/notes")
    }
    // As bytes: Swift calls strings equal that are written differently.
    #expect(try Array(reader.text(at: "/notes/\u{1f9f5} text").utf8) == Array(text.utf8))
    let root: String = try reader.attribute("für alle")
    let group: String = try reader.attribute("here", at: "/notes")
    #expect(Array(root.utf8) == Array(text.utf8))
    #expect(Array(group.utf8) == Array(text.utf8))
  }

  @Test func numberAttributes() throws {
    let reader = try reader {
      try $0.write([Float](repeating: 1, count: 3), at: "/values")
      try $0.attribute("least", Int.min)
      try $0.attribute("pi", Double.pi, at: "/values")
      for index in 0..<40 { try $0.attribute("many \(index)", index, at: "/values") }
    }
    #expect(try reader.attribute("least") == Int.min)
    #expect(try reader.attribute("pi", at: "/values") == Double.pi)
    for index in 0..<40 { #expect(try reader.attribute("many \(index)", at: "/values") == index) }
  }

  @Test func groupsAndNames() throws {
    let reader = try reader {
      try $0.group("/empty/inner")
      try $0.group("/empty/inner")
      for name in ["c", "a", "B", "ä"] { try $0.write([1.0], at: "/x/\(name)") }
      for index in 0..<300 { try $0.write([Int64(index)], at: "/many/\(index)") }
    }
    #expect(try reader.names(in: "/") == ["empty", "many", "x"])
    #expect(try reader.names(in: "/empty") == ["inner"])
    #expect(try reader.names(in: "/empty/inner").isEmpty)
    #expect(try reader.names(in: "/x") == ["B", "a", "c", "ä"])
    #expect(try reader.names(in: "/many") == (0..<300).map(String.init).sorted())
    #expect(try reader.array(of: Int64.self, at: "/many/299") == [299])
    for path in ["/", "/x", "/x/a", "/empty/inner"] { #expect(try reader.contains(path)) }
    for path in ["/y", "/x/b", "/y/a", "/x/a/b"] { #expect(try !reader.contains(path)) }
  }

  @Test func olderFormat() throws {
    _ = try reader { try $0.group("/a") }
    let reader = try HDF5Reader(path: path, kind: "test", newestVersion: 7)
    #expect(reader.formatVersion == 3)
  }

  /// The library itself is not thread-safe.
  @Test func manyThreads() async throws {
    let folder = folder.path
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          let path = "\(folder)/\(task).h5"
          for round in 0..<20 {
            let writer = try HDF5Writer(kind: "test", formatVersion: 1)
            let values = [Int64](repeating: Int64(1000 * task + round), count: 500)
            try writer.write(values, at: "/values")
            try writer.save(to: path)
            let reader = try HDF5Reader(path: path, kind: "test", newestVersion: 1)
            #expect(try reader.array(of: Int64.self, at: "/values") == values)
            #expect(throws: HDF5Error.self) { try reader.text(at: "/values") }
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
