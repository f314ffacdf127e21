import Files
import TestSupport
import Testing

@Suite struct LineReaderTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func lines(of text: some Sequence<UInt8>, longest: Int = LineReader.longestLine) throws -> [String] {
    let reader = try LineReader(folder.write("lines.txt", text), longest: longest)
    var lines: [String] = []
    while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
    #expect(reader.count == lines.count && reader.bytes == reader.size)
    return lines
  }

  @Test func linesEndAtLFAndCRLFAlone() throws {
    #expect(try lines(of: "a\nb\r\n\r\n\nc".utf8) == ["a", "b", "", "", "c"])
    #expect(try lines(of: "a\r\r\nb\rc\u{85}\u{2028}\u{0B}d\r".utf8) == ["a\r", "b\rc\u{85}\u{2028}\u{0B}d\r"])
    #expect(try lines(of: "".utf8) == [])
    #expect(try lines(of: "\n".utf8) == [""])
    #expect(try lines(of: "\r\n".utf8) == [""])
    #expect(try lines(of: "\u{FEFF}a\r\n\u{FEFF}b\n".utf8) == ["a", "\u{FEFF}b"])
  }

  /// However the ends lie to the blocks that a file is read in.
  @Test func linesOfAnyLengthAreWhole() throws {
    let lengths = [0, 1, 65_533, 65_534, 65_535, 65_536, 65_537, 131_071, 200_000, 3]
    let expected = lengths.map { String(repeating: "x", count: $0) }
    for end in ["\n", "\r\n"] {
      #expect(try lines(of: (expected.joined(separator: end) + end).utf8) == expected)
      #expect(try lines(of: expected.joined(separator: end).utf8) == expected)
    }
  }

  @Test func aLineThatIsTooLongIsNamed() throws {
    #expect(try lines(of: "12345\r\n12345\n12345".utf8, longest: 5) == ["12345", "12345", "12345"])
    for end in ["", "\n", "\r\n", "\r"] {
      expectError("lines.txt, line 2: expected at most 5 bytes, found a longer line") {
        _ = try lines(of: "1\n12345\(end == "\r" ? "" : "6")\(end)".utf8, longest: 5)
      }
    }
    // No more of it is read than has to be: this one has no end.
    expectError("/dev/zero, line 1: expected at most 100000 bytes") {
      _ = try LineReader("/dev/zero", longest: 100_000).next()
    }
  }

  @Test func whatCannotBeReadIsNamed() throws {
    expectError("Is a directory") { _ = try LineReader(folder.path) }
    expectError("nowhere.txt", "No such file") { _ = try LineReader(folder.file("nowhere.txt")) }
  }
}
