import Files
import Foundation

extension Vocabulary {
  /// The tokens as a JSON array of strings, one to a line: the form `init(kind:json:source:)` reads.
  public func json() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes]
    return Array(try encoder.encode(entries))
  }

  /// Reads what `json()` wrote. Throws `CorpusError` with `source` as its place.
  public init(kind: TokenizerKind, json: some Sequence<UInt8>, source: String) throws {
    let entries: [String]
    do {
      entries = try JSONDecoder().decode([String].self, from: Data(json))
    } catch {
      throw CorpusError(
        source, "expected a JSON array of strings (\(error))",
        remedy: "use the list that the vocabulary was saved as")
    }
    try self.init(kind: kind, entries: entries, source: source)
  }

  /// A fixed vocabulary of words: a UTF-8 file with one word on a line, empty lines left out. `<unk>` and
  /// `<eos>` come first, whether the file has them or not.
  ///
  /// Throws `CorpusError` naming the line for a word seen before and for a second word on a line.
  public init(wordFile path: String) throws {
    var words = WordTable()
    var wordsOnLine = 0
    let text = try TextStretch(wholeOf: path)
    try text.read(droppingMark: true) { piece, isLast throws(TextFault) in
      try scanWords(piece, isLast: isLast) { word, offset throws(TextFault) in
        wordsOnLine += 1
        let known = words.count
        if Int(words.insert(word)) < known {
          throw TextFault(
            offset: offset,
            problem: "expected a new word, found \"\(String(decoding: word, as: UTF8.self))\" again",
            remedy: "remove one of the two")
        }
        if wordsOnLine > 1 {
          throw TextFault(
            offset: offset, problem: "expected one word on a line, found a second",
            remedy: "write each word on a line of its own")
        }
      } lineEnd: {
        wordsOnLine = 0
      }
    }
    let specials = Vocabulary.specials.map { ArraySlice($0.utf8) }
    self.init(unchecked: .words, specials + (0..<words.count).map { words[$0] })
  }
}
