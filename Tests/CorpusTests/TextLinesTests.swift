import Files
import TestSupport
import Testing

@testable import Corpus

@Suite struct TextLinesTests {
  /// A text of words, and its lines: what looks like other line ends is none.
  private static let text = "one\r\ntwo\u{2028}2\u{2029}2\u{85}2\u{B}2\u{C}2\r2\n\n\r\nlast\r"
  private static let lines = ["one", "two\u{2028}2\u{2029}2\u{85}2\u{B}2\u{C}2\r2", "", "", "last\r"]

  @Test func linesEndAtLineFeedsAlone() throws {
    func lines(_ text: String) -> [String] {
      TextLines.of(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(lines(Self.text) == Self.lines)
    #expect(lines(Self.text + "\n") == Self.lines.dropLast() + ["last"])
    #expect(lines("") == [] && lines("\n") == [""] && lines("\r\n") == [""] && lines("\r") == ["\r"])
  }

  @Test func filesAreReadByTheSameLines() throws {
    let folder = try TemporaryFolder()
    let reader = try LineReader(folder.write("text", "\u{FEFF}" + Self.text))
    var lines: [String] = []
    while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
    #expect(lines == Self.lines)
    #expect(reader.bytes == reader.size)
  }

  @Test func wordsHaveTheSameLineEnds() throws {
    let tokenizer = Tokenizer(vocabulary: try Vocabulary(kind: .words, entries: ["<unk>", "<eos>"]))
    let tokens = try tokenizer.encode(Array(Self.text.utf8), source: "test")
    #expect(tokens.count { $0 == Vocabulary.endOfLine } == Self.lines.count - 1)
  }
}
