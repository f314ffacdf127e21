import Testing

@testable import Inference

@Suite struct TextStreamTests {
  @Test func piecesOfAnySizeGiveTheSameText() {
    let text = "aü\u{20AC}\u{1F642}\u{0}z\n"
    for size in 1...5 {
      var stream = TextStream()
      var found = ""
      let bytes = Array(text.utf8)
      for start in stride(from: 0, to: bytes.count, by: size) {
        let piece = stream.add(Array(bytes[start..<min(start + size, bytes.count)]))
        #expect(!piece.contains("\u{FFFD}"))
        found += piece
      }
      #expect(found + stream.finish() == text)
    }
  }

  @Test func whatIsNoTextIsReplaced() {
    var stream = TextStream()
    #expect(stream.add([0x80, 0x61]) == "\u{FFFD}a")
    #expect(stream.add([0xff, 0x62]) == "\u{FFFD}b")
    #expect(stream.add([0xe2, 0x82]) == "")
    #expect(stream.finish() == "\u{FFFD}")
    #expect(stream.finish() == "")
  }
}
