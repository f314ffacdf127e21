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
        source, "expected a JSON array of strings (\("\(error)".prefix(300)))",
        remedy: "use the list that the vocabulary was saved as")
    }
    try self.init(kind: kind, entries: entries, source: source)
  }

  /// A fixed vocabulary of words, from a list of them: see `listedWords`. `<unk>` and `<eos>` come first, whether the file has
  /// them or not. `name` is what the file is called in messages.
  ///
  /// Throws `CorpusError` for a list without words, and what `listedWords` throws.
  public init(wordFile path: String, name: String? = nil) throws {
    let words = try Self.listedWords(path, name ?? path)
    let specials = Vocabulary.specials.map { ArraySlice($0.utf8) }
    self.init(unchecked: .words, specials + (0..<words.count).map { words[$0] })
    guard count > specials.count else {
      throw CorpusError(
        name ?? path, "expected words, found \(words.count == 0 ? "none" : "only <unk> and <eos>")",
        remedy: "name a file with one word on a line, or a vocabulary.json")
    }
  }

  /// Tokens in an order of somebody else's, from a file: a JSON array of strings or, for words, one on each line. Returns
  /// them in ours, and for each token of ours its place in the file. `name` is what the file is called in messages.
  ///
  /// Throws `CorpusError` for what no vocabulary of this kind has, and for words without `<unk>` or `<eos>`.
  public static func inRowOrder(
    file path: String, name: String? = nil, kind: TokenizerKind
  ) throws -> (vocabulary: Vocabulary, order: [Int]) {
    let name = name ?? path
    let rows: [String]
    if kind == .words {
      let words = try listedWords(path, name)
      rows = (0..<words.count).map { String(decoding: words[$0], as: UTF8.self) }
    } else if let entries = try TokenList.entries(of: path, name) {
      rows = entries
    } else {
      throw CorpusError(
        name, "expected a JSON array of strings", remedy: "write the tokens in the order of the embedding's rows")
    }
    let order: [Int]
    switch kind {
    case .words:
      let first = try specials.map { special in
        if let row = rows.firstIndex(of: special) { return row }
        throw CorpusError(
          name, "expected \(special) among the words, found none",
          remedy: "only a model that has learned \(special) can be used with texts of words")
      }
      order = first + rows.indices.filter { !first.contains($0) }
    case .characters:
      order = rows.indices.sorted { rows[$0].unicodeScalars.lexicographicallyPrecedes(rows[$1].unicodeScalars) }
    case .bytes: order = Array(rows.indices)
    }
    return (try Vocabulary(kind: kind, entries: order.map { rows[$0] }, source: name), order)
  }

  /// The words of a file in its order: a JSON array of strings, as our `vocabulary.json` is, or one word on each line, where
  /// empty lines are left out.
  ///
  /// Throws `CorpusError` for a word seen before, for a second word on a line, for a word that is too long, and for what is no
  /// list of words at all; `PackedFileError` for a packed one.
  private static func listedWords(_ path: String, _ name: String) throws -> WordTable {
    if let entries = try TokenList.entries(of: path, name) { return try TokenList.words(of: entries, name) }
    return try TokenList.wordsOfLines(TextStretch(wholeOf: path, name: name))
  }
}
