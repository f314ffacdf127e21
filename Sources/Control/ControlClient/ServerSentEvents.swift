/// One event of a stream.
public struct ServerSentEvent: Equatable, Sendable {
  public var name: String
  /// Lines of data, with line feeds between them.
  public var data: String

  public init(name: String, data: String) {
    self.name = name
    self.data = data
  }
}

/// Takes a stream of server-sent events apart as its bytes come, in pieces of any size: the `text/event-stream` of the
/// HTML standard, 9.2.6, without `id` and `retry`, which nothing here sends.
public struct ServerSentEventParser {
  /// Bytes of one event; a longer one is an error, so that a stream that never ends an event cannot take all memory.
  public static let largestEvent = 64 << 20

  private var line: [UInt8] = []
  private var name = ""
  private var data = ""
  private var hasData = false
  /// After a carriage return, which a line feed may follow as part of the same line end.
  private var skipsLineFeed = false
  private var isFirstLine = true

  public init() {}

  /// The events that these bytes complete. Throws `ControlError` when one is too large.
  public mutating func parse(_ bytes: some Sequence<UInt8>) throws -> [ServerSentEvent] {
    var events: [ServerSentEvent] = []
    for byte in bytes {
      let isSecondOfPair = skipsLineFeed && byte == UInt8(ascii: "\n")
      skipsLineFeed = byte == UInt8(ascii: "\r")
      if isSecondOfPair { continue }
      guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") else {
        line.append(byte)
        if line.count + data.utf8.count > Self.largestEvent {
          throw ControlError(.unexpected, "the daemon's stream has an event of over \(Self.largestEvent) bytes")
        }
        continue
      }
      if let event = endLine() { events.append(event) }
    }
    return events
  }

  private mutating func endLine() -> ServerSentEvent? {
    var text = String(decoding: line, as: UTF8.self)
    line.removeAll(keepingCapacity: true)
    if isFirstLine, text.hasPrefix("\u{FEFF}") { text.removeFirst() }  // a byte-order mark
    isFirstLine = false
    guard text.isEmpty else {
      addField(text)
      return nil
    }
    defer { (name, data, hasData) = ("", "", false) }
    return hasData ? ServerSentEvent(name: name.isEmpty ? "message" : name, data: data) : nil
  }

  private mutating func addField(_ text: String) {
    let colon = text.firstIndex(of: ":")
    var value = colon.map { text[text.index(after: $0)...] } ?? ""
    if value.hasPrefix(" ") { value.removeFirst() }
    switch text[..<(colon ?? text.endIndex)] {
    case "event": name = String(value)
    case "data":
      data += (hasData ? "\n" : "") + value
      hasData = true
    default: break  // a comment, which begins with the colon, or a field that means nothing here
    }
  }
}
