import Corpus

/// Lets a text through, piece by piece, until one of some texts comes up in it.
public struct StopText {
  private let stops: [[UInt8]]
  /// What may be the beginning of one.
  private var held: [UInt8] = []
  /// Whether one has come; nothing passes after that.
  public private(set) var isOver = false

  /// Empty texts stop nothing.
  public init(_ stops: [[UInt8]]) { self.stops = stops.filter { !$0.isEmpty } }

  /// For a text of that vocabulary. `<eos>`, of one of words, is written as the end of a line. Throws `CorpusError` for a
  /// text that is never written.
  public init(_ stops: [[UInt8]], in vocabulary: Vocabulary) throws {
    guard vocabulary.kind == .words else {
      self.init(stops)
      return
    }
    let (unknown, endOfLine) = (vocabulary.bytes(of: Vocabulary.unknown), vocabulary.bytes(of: Vocabulary.endOfLine))
    self.init(
      try stops.map { stop in
        if stop[...] == endOfLine { return [UInt8(ascii: "\n")] }
        let words = stop.split { [UInt8(ascii: " "), UInt8(ascii: "\n")].contains($0) }
        if let never = words.first(where: { $0 == unknown || $0 == endOfLine }) {
          throw CorpusError(
            "the stop text", "expected one that the model writes, found \(String(decoding: never, as: UTF8.self))",
            remedy: "<unk> is never written, and <eos> as the end of a line")
        }
        return stop
      })
  }

  /// What can be shown now.
  public mutating func add(_ bytes: [UInt8]) -> [UInt8] {
    if isOver { return [] }
    held += bytes
    if let found = stops.compactMap({ held.firstIndex(of: $0) }).min() {
      isOver = true
      return take(found)
    }
    let begun = held.indices.first { start in
      stops.contains { held.count - start < $0.count && $0.starts(with: held[start...]) }
    }
    return take(begun ?? held.count)
  }

  /// What was held back, now that nothing follows.
  public mutating func finish() -> [UInt8] { isOver ? [] : take(held.count) }

  private mutating func take(_ count: Int) -> [UInt8] {
    defer { held.removeFirst(count) }
    return Array(held.prefix(count))
  }
}

extension [UInt8] {
  /// Where `other` first occurs.
  fileprivate func firstIndex(of other: [UInt8]) -> Int? {
    guard other.count <= count else { return nil }
    return (0...count - other.count).first { self[$0..<$0 + other.count].elementsEqual(other) }
  }
}
