import ControlClient
import TestSupport
import Testing

@Suite struct ServerSentEventTests {
  private func parse(_ text: String, piece: Int = .max) throws -> [ServerSentEvent] {
    var parser = ServerSentEventParser()
    var events: [ServerSentEvent] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      events += try parser.parse(rest.prefix(piece))
      rest = rest.dropFirst(piece)
    }
    return events
  }

  @Test func eventsAreTakenApart() throws {
    #expect(
      try parse("event: token\ndata: {\"text\": \"a\"}\n\nevent: end\ndata: 1\n\n") == [
        .init(name: "token", data: "{\"text\": \"a\"}"), .init(name: "end", data: "1"),
      ])
    #expect(try parse("data: a\n\n") == [.init(name: "message", data: "a")])
  }

  @Test func linesOfDataArePutTogether() throws {
    #expect(try parse("data: a\ndata:\ndata:  b\ndata\n\n") == [.init(name: "message", data: "a\n\n b\n")])
  }

  @Test func whatIsNoEventIsPassedOver() throws {
    #expect(try parse(": keep alive\n\nevent: x\n\nid: 1\nretry: 5\nnonsense\n\n\n\n") == [])
    #expect(try parse("event: x\n\ndata: a\n\n") == [.init(name: "message", data: "a")])
    #expect(try parse("data: a\n: between\ndata: b\n\n") == [.init(name: "message", data: "a\nb")])
    // Not ended, so it may not be whole.
    #expect(try parse("data: a\n\ndata: b\n") == [.init(name: "message", data: "a")])
  }

  @Test func everyLineEndAndEveryPieceGivesTheSame() throws {
    let expected = [
      ServerSentEvent(name: "sample", data: "größer 🦆\n的"), ServerSentEvent(name: "message", data: "x"),
      ServerSentEvent(name: "log", data: ""),
    ]
    for end in ["\n", "\r\n", "\r"] {
      let text = ["event: sample", "data: größer 🦆", "data: 的", "", ":", "data:x", "", "event:log", "data", "", ""]
        .joined(separator: end)
      for start in ["", "\u{FEFF}"] {
        for piece in 1...text.utf8.count {
          #expect(try parse(start + text, piece: piece) == expected, "\(end.debugDescription), pieces of \(piece)")
        }
      }
    }
  }

  @Test func anEventWithoutEndIsRefused() {
    expectError("an event of over") {
      var parser = ServerSentEventParser()
      let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
      _ = try parser.parse("data: ".utf8)
      for _ in 0...(ServerSentEventParser.largestEvent >> 20) { _ = try parser.parse(piece) }
    }
    expectError("an event of over") {
      var parser = ServerSentEventParser()
      let line = Array("data: \(String(repeating: "a", count: 1 << 20))\n".utf8)
      for _ in 0...(ServerSentEventParser.largestEvent >> 20) { _ = try parser.parse(line) }
    }
  }
}
