import CNGrams
import Corpus
import Files
import PackedFiles

/// The format that n-gram models are exchanged in, first of MIT Lincoln Laboratory (D. Paul): a text with the number of n-grams
/// of each order, and on a line each log10 p, the words, and log10 of the backoff where the n-gram is a context.
enum ARPA {
  static let (begin, end, unknown) = ("<s>", "</s>", "<unk>")

  /// What each word of a vocabulary is called, from word 1 on and `<s>` at last. Words of white space would be none in a file:
  /// characters and bytes that are no letters or signs are written as <U+0020> and <0x0A>.
  static func names(_ vocabulary: Vocabulary) -> [[UInt8]] {
    (0..<Int32(vocabulary.count)).map { token -> [UInt8] in
      if token == vocabulary.lineEnd { return Array(end.utf8) }
      let bytes = Array(vocabulary.bytes(of: token))
      switch vocabulary.kind {
      case .words: return bytes
      case .bytes where (0x21..<0x7f).contains(bytes[0]): return bytes
      case .bytes: return Array("<0x\(bytes[0].digits(2, radix: 16, uppercase: true))>".utf8)
      case .characters:
        let scalar = String(decoding: bytes, as: UTF8.self).unicodeScalars.first!
        let isSeen = !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
        return isSeen ? bytes : Array("<U+\(scalar.value.digits(4, radix: 16, uppercase: true))>".utf8)
      }
    } + [Array(begin.utf8)]
  }
}

extension NGramModel {
  /// Writes the model as an ARPA file, which KenLM and SRILM read, packed as the ending of the name says (.gz, .bz2, .xz).
  /// `progress` is told how many n-grams of how many are written, and may throw. Throws `FileError`.
  public func writeARPA(to path: String, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }) throws {
    let file = try PackedWriter(path)
    var (names, starts) = ([UInt8](), [0, 0])
    for name in ARPA.names(vocabulary) {
      names += name
      starts.append(names.count)
    }
    let longest = zip(starts, starts.dropFirst()).map { $1 - $0 }.max() ?? 0
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1 << 18, order * (longest + 80)), alignment: 16)
    defer { room.deallocate() }
    try file.write("\\data\\\n" + counts.enumerated().map { "ngram \($0 + 1)=\($1)\n" }.joined())
    let total = counts.reduce(0, +)
    var done = 0
    for order in 1...order {
      try file.write("\n\\\(order)-grams:\n")
      var cursor = ngrams_cursor()
      cursor.order = Int32(order)
      while true {
        let written = lines(&cursor, names, starts, into: room)
        if written == 0 { break }
        try file.write(UnsafeRawBufferPointer(rebasing: room[..<written]))
        try progress(done + cursor.place, total)
      }
      done += counts[order - 1]
    }
    try file.write("\n\\end\\\n")
    try file.finish()
    try progress(total, total)
  }
}
