import Files
import TestSupport
import Testing

@testable import Corpus

@Suite struct VocabularyTests {
  private func survey(_ kind: TokenizerKind, _ text: String) throws -> TextSurvey {
    let folder = try TemporaryFolder()
    var survey = TextSurvey(kind)
    let stretch = try TextStretch(wholeOf: folder.write("text", text))
    _ = try survey.read([stretch], gatherWords: true) { _ in }
    return survey
  }

  @Test func wordsComeByCountThenBytes() throws {
    let survey = try survey(.words, "b a c c é z b\n<eos> <unk> z c\n")
    let vocabulary = try survey.vocabulary(minimumCount: 1, maximumSize: 0)
    #expect(vocabulary.entries == ["<unk>", "<eos>", "c", "b", "z", "a", "é"])
    #expect(vocabulary.id(of: "z".utf8) == 4)
    #expect(vocabulary.id(of: "y".utf8) == nil)
    #expect(try survey.vocabulary(minimumCount: 2, maximumSize: 0).entries == ["<unk>", "<eos>", "c", "b", "z"])
    #expect(try survey.vocabulary(minimumCount: 1, maximumSize: 3).entries == ["<unk>", "<eos>", "c"])
  }

  @Test func charactersComeByCodePoint() throws {
    let vocabulary = try survey(.characters, "b\u{10FFFF}a\0é\n").vocabulary(minimumCount: 1, maximumSize: 0)
    #expect(vocabulary.entries == ["\0", "\n", "a", "b", "é", "\u{10FFFF}"])
  }

  @Test func bytesAreTheirOwnNumbers() {
    #expect(Vocabulary.bytes.count == 256)
    #expect(Vocabulary.bytes.id(of: [200]) == 200)
    #expect(Vocabulary.bytes.entries == [])
  }

  @Test func composedAndDecomposedFormsAreTwoTokens() throws {
    let vocabulary = try Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "\u{E9}", "e\u{301}"])
    #expect(vocabulary.count == 4)
    #expect(vocabulary.id(of: "e\u{301}".utf8) == 3)
  }

  @Test(arguments: TokenizerKind.allCases)
  func jsonGoesThereAndBack(kind: TokenizerKind) throws {
    let text = "the <unk> \"quoted\\ \u{0}nul \u{FEFF}mark é e\u{301} 🐈 \u{2028} /\n"
    let vocabulary = try survey(kind, text).vocabulary(minimumCount: 1, maximumSize: 0)
    let again = try Vocabulary(kind: kind, json: vocabulary.json(), source: "test")
    #expect(again == vocabulary)
    #expect(try Vocabulary(kind: kind, entries: vocabulary.entries) == vocabulary)
  }

  @Test func listsWithFaultsAreRefused() {
    func refuse(_ kind: TokenizerKind, _ entries: [String], _ part: String) {
      expectError(part, "vocabulary") { _ = try Vocabulary(kind: kind, entries: entries) }
    }
    refuse(.words, ["<eos>", "<unk>", "a"], "expected <unk>")
    refuse(.words, ["<unk>"], "expected <eos>")
    refuse(.words, ["<unk>", "<eos>", "a", "a"], "expected 4 different tokens, found 3")
    refuse(.words, ["<unk>", "<eos>", "a b"], "entry 2: expected a word without white space")
    refuse(.words, ["<unk>", "<eos>", ""], "expected a word")
    refuse(.characters, ["ab"], "expected one Unicode scalar")
    refuse(.characters, ["e\u{301}"], "expected one Unicode scalar")
    refuse(.characters, ["b", "a"], "found U+0061")
    refuse(.characters, ["a", "a"], "found U+0061")
    refuse(.bytes, ["a"], "expected no list")
    expectError("v.json", "expected a JSON array") {
      _ = try Vocabulary(kind: .words, json: Array("[1]".utf8), source: "v.json")
    }
  }

  @Test func fixedWordFiles() throws {
    let folder = try TemporaryFolder()
    let plain = try folder.write("plain", "\u{FEFF}zebra\r\n\nape\n")
    #expect(try Vocabulary(wordFile: plain).entries == ["<unk>", "<eos>", "zebra", "ape"])
    let full = try folder.write("full", "<unk>\n<eos>\nape")
    #expect(try Vocabulary(wordFile: full).entries == ["<unk>", "<eos>", "ape"])
    let twice = try folder.write("twice", "ape\nbee\nape\n")
    expectError("twice, line 3, byte 8", "found \"ape\" again") { _ = try Vocabulary(wordFile: twice) }
    let two = try folder.write("two", "ape\nbee cat\n")
    expectError("two, line 2", "one word on a line") { _ = try Vocabulary(wordFile: two) }
    let latin = try folder.write("latin", [0x61, 0x0A, 0xE9, 0x0A])
    expectError("latin, line 2, byte 2", "0xE9", "UTF-8") { _ = try Vocabulary(wordFile: latin) }
  }

  @Test func ourOwnVocabularyIsReadAsSuch() throws {
    let folder = try TemporaryFolder()
    let vocabulary = try survey(.words, "[ b a a \u{2028}x \u{85} é \"q\" \\ {\n").vocabulary(
      minimumCount: 1, maximumSize: 0)
    let json = try folder.write("vocabulary.json", vocabulary.json())
    #expect(try Vocabulary(wordFile: json) == vocabulary)
    #expect(try Vocabulary.inRowOrder(file: json, kind: .words).vocabulary == vocabulary)
    let lines = vocabulary.entries.joined(separator: "\r\n")
    #expect(try Vocabulary(wordFile: folder.write("lines", lines)) == vocabulary)
    #expect(try Vocabulary.inRowOrder(file: folder.file("lines"), kind: .words).vocabulary == vocabulary)
    let mine = try folder.write("mine.json", " [\"b\", \"\\u0061\"] ")
    #expect(try Vocabulary(wordFile: mine).entries == ["<unk>", "<eos>", "b", "a"])
    // Words may be brackets.
    let brackets = try folder.write("brackets", "[\n{\n\"\n]\n")
    #expect(try Vocabulary(wordFile: brackets).entries.dropFirst(2) == ["[", "{", "\"", "]"])
  }

  @Test func whatIsNoListOfWordsIsRefused() throws {
    let folder = try TemporaryFolder()
    func refuse(_ bytes: some Sequence<UInt8>, _ parts: String...) throws {
      let path = try folder.write("list", bytes)
      for part in parts {
        expectError("list", part) { _ = try Vocabulary(wordFile: path) }
        expectError("list", part) { _ = try Vocabulary.inRowOrder(file: path, kind: .words) }
      }
    }
    try refuse("{\"the\": 0, \"of\": 1}".utf8, "found an object", "jq -r")
    try refuse("{\n  \"model\": {\"vocab\": {\"a\": 1}}\n}\n".utf8, "found an object")
    try refuse("[1, 2]".utf8, "found an array of other things")
    try refuse("[[\"the\", 12]]".utf8, "found an array of other things")
    try refuse("[\"<unk>\", \"<eos>\", \"a\"".utf8, "found damaged JSON")
    try refuse("{\"the\": 0, ".utf8, "damaged JSON")
    try refuse("[\"<unk>\", \"<eos>\", \"a\", \"a\"]".utf8, "entry 3: expected a new word, found \"a\" again")
    try refuse("[\"<unk>\", \"<eos>\", \"\"]".utf8, "entry 2: expected a word without white space")
    try refuse(
      Vocabulary(kind: .characters, entries: ["\n", " ", "a"]).json(), "entry 0", "found \"\\n\"", "characters")
    try refuse("the 123\nof 45\n".utf8, "line 1, byte 4", "found a second", "without counts")
    try refuse("    123 the\n".utf8, "line 1", "without counts")
    try refuse("the\t123\n".utf8, "without counts")
    try refuse("a text, as it is\nwith lines\n".utf8, "line 1", "one word on a line")
    try refuse([UInt8]("LOCKSTEP".utf8) + [1, 0, 0, 0], "found a binary file")
    try refuse("t\0h\0e\0\n\0".utf8, "found a binary file (or UTF-16)")
    try refuse([0x61, 0x0A, 0xE9], "line 2", "expected UTF-8")
    try refuse((String(repeating: "x", count: 1 << 16 + 1) + "\n").utf8, "at most 65536 bytes, found one of 65537")
    for empty in ["", "\n \r\n", "\u{FEFF}", "[]", "<unk>\n<eos>\n", "[\"<unk>\"]"] {
      expectError("list", "expected words, found") { _ = try Vocabulary(wordFile: folder.write("list", empty)) }
    }
  }

  @Test func tokensInAnyOrderAreTakenOver() throws {
    let folder = try TemporaryFolder()
    let words = try folder.write("words", "\u{FEFF}the\n<eos>\ncat\n<unk>\n")
    let (vocabulary, order) = try Vocabulary.inRowOrder(file: words, kind: .words)
    #expect(vocabulary.entries == ["<unk>", "<eos>", "the", "cat"] && order == [3, 1, 0, 2])
    let json = try folder.write("characters", #" ["b", "\n", "\u00e9", "a"]"#)
    let characters = try Vocabulary.inRowOrder(file: json, kind: .characters)
    #expect(characters.vocabulary.entries == ["\n", "a", "b", "é"] && characters.order == [1, 3, 0, 2])
    let without = try folder.write("without", "the\ncat\n<eos>\n")
    expectError("without", "<unk>") { _ = try Vocabulary.inRowOrder(file: without, kind: .words) }
    let text = try folder.write("text", "a\nb\n")
    expectError("text", "JSON array") { _ = try Vocabulary.inRowOrder(file: text, kind: .characters) }
  }

  @Test func tooManyWordsAreRefused() throws {
    let folder = try TemporaryFolder()
    let stretch = try TextStretch(wholeOf: folder.write("text", "a b a c\nd"))
    var survey = TextSurvey(.words)
    expectError("text, line 1, byte 6", "at most 2 different words", "corpus.vocabulary") {
      _ = try survey.read([stretch], gatherWords: true, maximumDistinctWords: 2) { _ in }
    }
  }

  @Test func theTableFindsWhatItHolds() {
    var table = WordTable()
    let words = (0..<20_000).map { Array("w\($0 * 7919)".utf8) }
    for (id, word) in words.enumerated() { #expect(word.withUnsafeBytes { table.insert($0) } == Int32(id)) }
    for (id, word) in words.enumerated() { #expect(word.withUnsafeBytes { table.id(of: $0) } == Int32(id)) }
    #expect(table.count == words.count)
    #expect([].withUnsafeBytes { table.id(of: $0) } == nil)
  }
}
