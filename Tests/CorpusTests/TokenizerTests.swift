import Files
import TestSupport
import Testing

@testable import Corpus

@Suite struct TokenizerTests {
  static let texts = [
    "hello\n", "", "\n\n", "line\r\nline\r\n", "no end", "\0\u{1}\u{7F}",
    "e\u{301} is not \u{E9}\n", "🐈‍⬛ and 👩🏽‍🚀 go to 🇮🇷\n",
    "توانا بود هر که دانا بود\nز دانش دل پیر برنا بود\n", "می‌رود\u{200C}\n", "\u{10FFFF}\u{E000}\u{D7FF}",
  ]

  /// The vocabulary of a text.
  private func vocabulary(_ kind: TokenizerKind, _ text: [UInt8]) throws -> Vocabulary {
    let folder = try TemporaryFolder()
    var survey = TextSurvey(kind)
    let stretch = try TextStretch(wholeOf: folder.write("text", text))
    _ = try survey.read([stretch], gatherWords: true) { _ in }
    return try survey.vocabulary(minimumCount: 1, maximumSize: 0)
  }

  @Test(arguments: [TokenizerKind.characters, .bytes], texts)
  func textComesBackExactly(kind: TokenizerKind, text: String) throws {
    let bytes = Array(text.utf8)
    let tokenizer = Tokenizer(vocabulary: try vocabulary(kind, bytes))
    let tokens = try tokenizer.encode(bytes, source: "test")
    #expect(tokens.count == (kind == .bytes ? bytes.count : text.unicodeScalars.count))
    #expect(tokenizer.decode(tokens) == bytes)
  }

  @Test func byteOrderMarks() throws {
    let text = byteOrderMark + Array("a \u{FEFF}b".utf8)
    func decoded(_ kind: TokenizerKind) throws -> [UInt8] {
      let tokenizer = Tokenizer(vocabulary: try vocabulary(kind, text))
      return tokenizer.decode(try tokenizer.encode(text, source: "test"))
    }
    #expect(try decoded(.bytes) == text)
    #expect(try decoded(.characters) == Array(text.dropFirst(3)))
    #expect(try decoded(.words) == Array(text.dropFirst(3)))
  }

  /// An implementation by other means: words split by scalars, one `<eos>` for each "\n".
  private func plainWords(_ text: String) -> [String] {
    let space: Set<UInt32> = [
      9, 10, 11, 12, 13, 32, 0xA0, 0x1680, 0x202F, 0x205F, 0x2060, 0x3000, 0x2000, 0x2001, 0x2002, 0x2003,
      0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A,
    ]
    var words: [String] = []
    var word = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      guard space.contains(scalar.value) else {
        word.append(scalar)
        continue
      }
      if !word.isEmpty { words.append(String(word)) }
      word = String.UnicodeScalarView()
      if scalar == "\n" { words.append("<eos>") }
    }
    if !word.isEmpty { words.append(String(word)) }
    return words
  }

  @Test(
    arguments: texts + [
      " a\u{A0}b\u{2007}c\u{202F}d\u{2060}e\u{3000}f\u{85}g\u{200B}h\u{2028}i \t\n \u{B}\u{C}\r\n x",
      "<eos> <unk>\n",
    ])
  func wordsAreThoseOfAPlainSplit(text: String) throws {
    let bytes = Array(text.utf8)
    let tokenizer = Tokenizer(vocabulary: try vocabulary(.words, bytes))
    let tokens = try tokenizer.encode(bytes, source: "test")
    let words = tokens.map { Array(tokenizer.vocabulary.bytes(of: $0)) }
    #expect(words == plainWords(text).map { Array($0.utf8) })
  }

  @Test func wordsAreJoinedBySingleSpaces() throws {
    let tokenizer = Tokenizer(
      vocabulary: try Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "the", "cat"]))
    let tokens = try tokenizer.encode(Array(" the  cat\r\n the dog <eos> cat".utf8), source: "test")
    #expect(tokens == [2, 3, 1, 2, 0, 1, 3])
    #expect(String(decoding: tokenizer.decode(tokens), as: UTF8.self) == "the cat\nthe <unk>\ncat")
    #expect(tokenizer.piece(for: 3, after: 2) == Array(" cat".utf8))
    #expect(tokenizer.piece(for: 3, after: 1) == Array("cat".utf8))
    #expect(tokenizer.piece(for: 1, after: 3) == Array("\n".utf8))
  }

  @Test(arguments: TokenizerKind.allCases, [1, 2, 3, 5, 64])
  func piecesMayEndAnywhere(kind: TokenizerKind, pieceSize: Int) throws {
    let folder = try TemporaryFolder()
    let text = Array((TokenizerTests.texts.joined(separator: "\u{3000}wörd\n") + "końiec").utf8)
    let path = try folder.write("text", text)
    let stretch = try TextStretch(wholeOf: path)
    var survey = TextSurvey(kind)
    let count = try survey.read([stretch], gatherWords: true, pieceSize: pieceSize) { _ in }
    let vocabulary = try survey.vocabulary(minimumCount: 1, maximumSize: 0)
    #expect(try vocabulary == self.vocabulary(kind, text))

    let tokenizer = Tokenizer(vocabulary: vocabulary)
    var tokens: [Int32] = []
    var bytes = 0
    try tokenizer.encode(stretch, pieceSize: pieceSize) {
      tokens += $0
      bytes += $1.count
    }
    #expect(try tokens == tokenizer.encode(text, source: "test"))
    #expect(tokens.count == count)
    #expect(bytes == text.count)
  }

  @Test func faultsAreNamedWithTheirPlace() throws {
    let folder = try TemporaryFolder()
    let letters = Tokenizer(vocabulary: try Vocabulary(kind: .characters, entries: ["\n", "a"]))
    let path = try folder.write("text", byteOrderMark + Array("a\naa🐈a".utf8))
    expectError("text, line 2, byte 7", "found U+1F408", "take it out") {
      try letters.encode(file: path) { _, _ in }
    }
    expectError("prompt, line 1, byte 1", "found U+0062") {
      _ = try letters.encode(Array("ab".utf8), source: "prompt")
    }

    let words = Tokenizer(vocabulary: try Vocabulary(kind: .words, entries: ["<unk>", "<eos>"]))
    let faults: [[UInt8]] = [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x82], [0xE2, 0x28, 0xA1],
    ]
    for fault in faults {
      for tokenizer in [letters, words] {
        expectError("text, line 2, byte 2", "expected UTF-8", "0x\(fault[0].digits(2, radix: 16, uppercase: true))") {
          _ = try tokenizer.encode([0x61, 0x0A] + fault, source: "text")
        }
      }
    }
  }

  @Test(arguments: [1 << 10, 1 << 22])
  func longWordsAreUnknown(pieceSize: Int) throws {
    let folder = try TemporaryFolder()
    let tokenizer = Tokenizer(vocabulary: try Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "a", "b"]))
    for length in [1 << 16, 1 << 16 + 1, 1 << 20, 5 << 20] {
      let path = try folder.write("text", "\na " + String(repeating: "x", count: length) + " b")
      var tokens: [Int32] = []
      try tokenizer.encode(TextStretch(wholeOf: path), pieceSize: pieceSize) { encoded, _ in tokens += encoded }
      #expect(tokens == [1, 2, 0, 3])
    }
  }
}
