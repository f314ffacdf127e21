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

  /// Tokens in an order of somebody else's, from a file: a JSON array of strings or, for words, one on each line. Returns
  /// them in ours, and for each token of ours its place in the file.
  ///
  /// Throws `CorpusError` for what no vocabulary of this kind has, and for words without `<unk>` or `<eos>`.
  public static func inRowOrder(
    file path: String, kind: TokenizerKind
  ) throws -> (vocabulary: Vocabulary, order: [Int]) {
    var bytes = try MappedFile.withBytes(of: path) { Array($0) }
    if bytes.starts(with: byteOrderMark) { bytes.removeFirst(byteOrderMark.count) }
    let rows: [String]
    if bytes.first(where: { !isWhiteSpace(UInt32($0)) }) == UInt8(ascii: "["), let json = try? strings(bytes) {
      rows = json
    } else if kind == .words, let text = String(validating: bytes, as: UTF8.self) {
      rows = text.split(omittingEmptySubsequences: true) { $0.isNewline }.map(String.init)
    } else {
      throw CorpusError(
        path, "expected a JSON array of strings\(kind == .words ? " or a word on each line, in UTF-8" : "")",
        remedy: "write the tokens in the order of the embedding's rows")
    }
    let order: [Int]
    switch kind {
    case .words:
      let first = try specials.map { special in
        if let row = rows.firstIndex(of: special) { return row }
        throw CorpusError(
          path, "expected \(special) among the words, found none",
          remedy: "only a model that has learned \(special) can be used with texts of words")
      }
      order = first + rows.indices.filter { !first.contains($0) }
    case .characters:
      order = rows.indices.sorted { rows[$0].unicodeScalars.lexicographicallyPrecedes(rows[$1].unicodeScalars) }
    case .bytes: order = Array(rows.indices)
    }
    return (try Vocabulary(kind: kind, entries: order.map { rows[$0] }, source: path), order)
  }

  private static func strings(_ json: [UInt8]) throws -> [String] {
    try JSONDecoder().decode([String].self, from: Data(json))
  }
}
