import Files
import Foundation

/// Lists of tokens that others have made, in the forms a vocabulary is read from.
enum TokenList {
  private static let remedy = "name a file with one word on a line, or a vocabulary.json"

  /// The strings of a file that is a JSON array of them; nil for what is no JSON and may be a list of lines.
  ///
  /// Throws `CorpusError` for JSON of another form, damaged JSON and files that are no text, and `PackedFileError`.
  static func entries(of path: String, _ name: String) throws -> [String]? {
    try MappedFile.withBytes(of: path) { bytes in
      try Packing.refuse(bytes, of: name)
      guard !bytes.prefix(4096).contains(0) else {
        throw CorpusError(name, "expected a text, found a binary file (or UTF-16)", remedy: remedy)
      }
      let text = bytes.starts(with: byteOrderMark) ? bytes.dropFirst(byteOrderMark.count) : bytes[...]
      let start = text.lazy.filter { !isWhiteSpace(UInt32($0)) }.prefix(2)
      guard let first = start.first, [UInt8(ascii: "["), UInt8(ascii: "{")].contains(first) else { return nil }
      let data = Data(text)
      if let entries = try? JSONDecoder().decode([String].self, from: data) { return entries }
      if (try? JSONSerialization.jsonObject(with: data)) != nil {
        let isObject = first == UInt8(ascii: "{")
        throw CorpusError(
          name, "expected a JSON array of strings, found \(isObject ? "an object" : "an array of other things")",
          remedy: isObject
            ? "of one that gives each token its number, take the tokens: jq -r 'to_entries | sort_by(.value)[].key' FILE"
            : "take the strings out of it, one on a line")
      }
      // A list of words may begin with a bracket.
      guard start.dropFirst().first == UInt8(ascii: "\"") else { return nil }
      throw CorpusError(
        name, "expected a JSON array of strings, as it begins, found damaged JSON",
        remedy: "get it again; a list of words that is no JSON must not begin with a bracket and a quotation mark")
    }
  }

  /// A list of words. Throws `CorpusError` for entries that no vocabulary of words has.
  static func words(of entries: [String], _ name: String) throws -> WordTable {
    var words = WordTable()
    for (position, entry) in entries.enumerated() {
      func fault(_ problem: String, _ remedy: String) -> CorpusError {
        CorpusError("\(name), entry \(position)", problem, remedy: remedy)
      }
      let bytes = Array(entry.utf8)
      if bytes.isEmpty || entry.unicodeScalars.contains(where: { isWhiteSpace($0.value) }) {
        throw fault(
          "expected a word without white space, found \(entry.debugDescription)",
          "a vocabulary of characters is no list of words: name one of words, or use the tokenizer `characters`")
      }
      try bytes.withUnsafeBytes { word in
        if let problem = add(word, to: &words) { throw fault(problem, "take it out") }
      }
    }
    return words
  }

  /// The words of a text that has one on each line.
  static func wordsOfLines(_ text: TextStretch) throws -> WordTable {
    var words = WordTable()
    var wordsOnLine = 0
    try text.read(droppingMark: true) { piece, _, isLast throws(TextFault) in
      try scanWords(piece, isLast: isLast) { word, offset throws(TextFault) in
        wordsOnLine += 1
        if wordsOnLine > 1 {
          throw TextFault(
            offset: offset, problem: "expected one word on a line, found a second",
            remedy: "write each word on a line of its own, without counts or numbers (as with awk '{print $1}')")
        }
        if let problem = add(word, to: &words) {
          throw TextFault(offset: offset, problem: problem, remedy: "take it out")
        }
      } lineEnd: {
        wordsOnLine = 0
      }
    }
    return words
  }

  /// Adds a word. Returns what is wrong with it.
  private static func add(_ word: UnsafeRawBufferPointer, to words: inout WordTable) -> String? {
    guard word.count <= maximumWordLength else {
      return "expected words of at most \(maximumWordLength) bytes, found one of \(word.count)"
    }
    let known = words.count
    guard Int(words.insert(word)) < known else { return nil }
    return "expected a new word, found \"\(String(decoding: word, as: UTF8.self))\" again"
  }
}
