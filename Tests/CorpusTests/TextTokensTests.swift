import Files
import TestSupport
import Testing

@testable import Corpus

@Suite struct TextTokensTests {
  private let text =
    "\u{FEFF}the cat sat\n on the  mat, unheard of\n\n\u{A0}the end of " + String(repeating: "cat ", count: 40)

  private func tokenizer(_ kind: TokenizerKind) throws -> Tokenizer {
    switch kind {
    case .bytes: return Tokenizer(vocabulary: .bytes)
    case .words:
      return Tokenizer(
        vocabulary: try Vocabulary(kind: kind, entries: ["<unk>", "<eos>", "the", "cat", "sat", "on", "end", "of"]))
    case .characters:
      let scalars = Set(text.unicodeScalars.dropFirst()).sorted()
      return Tokenizer(vocabulary: try Vocabulary(kind: kind, entries: scalars.map { String($0) }))
    }
  }

  @Test(arguments: TokenizerKind.allCases, [16, 64, 1 << 15])
  func anyPlaceReadsAsTheWholeTextDoes(kind: TokenizerKind, pieceSize: Int) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("text.txt", text.utf8)
    let tokenizer = try tokenizer(kind)
    var expected: [Int32] = []
    try tokenizer.encode(file: path) { tokens, _ in expected.append(contentsOf: tokens) }
    let tokens = try TextTokens(file: path, tokenizer: tokenizer, lanes: 2, pieceSize: pieceSize)
    #expect(tokens.count == expected.count)
    #expect(tokens.characters == text.unicodeScalars.count - (kind == .bytes ? 0 : 1))
    #expect(tokens.unknownTokens == (kind == .words ? expected.count { $0 == 0 } : 0))
    for length in [1, 2, 7, expected.count] {
      for start in stride(from: 0, through: expected.count - length, by: 1).reversed() {
        var read = [Int32](repeating: -1, count: length)
        try read.withUnsafeMutableBufferPointer { try tokens.copy(start..<start + length, into: $0) }
        #expect(read == Array(expected[start..<start + length]), "\(length) from \(start)")
      }
    }
  }

  @Test func emptyTextsHaveNoTokens() throws {
    let folder = try TemporaryFolder()
    for (name, bytes) in [("empty", []), ("mark", byteOrderMark)] {
      let tokens = try TextTokens(file: folder.write(name, bytes), tokenizer: tokenizer(.words))
      #expect(tokens.count == 0 && tokens.characters == 0)
    }
  }

  @Test func aFileThatChangesIsNoticed() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("text.txt", "the cat sat\n".utf8)
    let tokens = try TextTokens(file: path, tokenizer: tokenizer(.words))
    try folder.write("text.txt", "thecatsat on".utf8)
    #expect {
      var read = [Int32](repeating: 0, count: 4)
      try read.withUnsafeMutableBufferPointer { try tokens.copy(0..<4, into: $0) }
    } throws: { "\($0)".contains("changed while being read") }
  }

  @Test func faultsAreToldWithTheirPlace() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("text.txt", Array("the cat\nsat ".utf8) + [0xff])
    #expect { try TextTokens(file: path, tokenizer: tokenizer(.words)) } throws: {
      "\($0)".contains("line 2, byte 12") && "\($0)".contains("0xFF")
    }
  }
}
