import Testing

@testable import Inference

@Suite struct StopTextTests {
  /// What passes of a text that comes in pieces of a size.
  private func passed(_ text: String, _ stops: [String], pieces size: Int) -> (text: String, isOver: Bool) {
    var filter = StopText(stops.map { Array($0.utf8) })
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      bytes += filter.add(Array(rest.prefix(size)))
      rest = rest.dropFirst(size)
    }
    bytes += filter.finish()
    return (String(decoding: bytes, as: UTF8.self), filter.isOver)
  }

  @Test(arguments: 1...9)
  func everythingBeforeTheFirstPasses(size: Int) {
    #expect(passed("one two three", ["three", "two"], pieces: size) == ("one ", true))
    #expect(passed("aab aaab", ["aaab"], pieces: size) == ("aab ", true))
    #expect(passed("a\n\nb\n\n", ["\n\n"], pieces: size) == ("a", true))
    #expect(passed("ab", ["ab"], pieces: size) == ("", true))
    #expect(passed("nothing like it", ["itx", "xx"], pieces: size) == ("nothing like it", false))
    #expect(passed("Käse ü", ["ü"], pieces: size) == ("Käse ", true))
    #expect(passed("all", [], pieces: size) == ("all", false))
    #expect(passed("all", [""], pieces: size) == ("all", false))
  }

  @Test func onlyWhatMayBeAStopIsHeldBack() {
    var filter = StopText([Array("END".utf8)])
    #expect(filter.add(Array("text E".utf8)) == Array("text ".utf8))
    #expect(filter.add(Array("x".utf8)) == Array("Ex".utf8))
    #expect(filter.add(Array("EN".utf8)) == [])
    #expect(filter.finish() == Array("EN".utf8))
  }
}
