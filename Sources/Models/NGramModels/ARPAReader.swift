import CNGrams
import Corpus
import Files
import PackedFiles

/// Reads an ARPA file, plain or packed, of KenLM, SRILM or ours.
///
/// Words may be apart by blanks or tabs, backoffs may be missing, and so may n-grams that a longer one begins or ends with: these
/// are put in with the probability that backing off gives them. A model without `<unk>` is given one that is as good as
/// impossible, as KenLM does.
public final class ARPAReader {
  /// log10 p of `<unk>` in a file without it.
  private static let missingUnknown: Float = -100
  /// Lines that may stand before `\data\`.
  private static let mostLinesBefore = 1000
  /// The longest word that is taken, in bytes.
  private static let longestWord = 1 << 16

  private let file: PackedReader
  private let progress: (_ done: Int, _ total: Int) throws -> Void
  private var counts: [Int] = []
  /// Words as the file has them, each with our number.
  private var words = WordTable()
  private var numbers: [UInt32] = []
  private var unigrams: [(probability: Float, backoff: Float)?] = []
  private var vocabulary: Vocabulary
  private var levels: [NGramSorter] = []

  /// A model of words. `progress` is told how many bytes of the file of how many have been read, and may throw. Throws
  /// `FileError`, `NGramModelError` for what is no such file, and what unpacking throws.
  public static func read(
    _ path: String, progress: @escaping (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
  ) throws -> NGramModel {
    try ARPAReader(PackedReader(path), progress).model()
  }

  /// Whether a file begins as one: `\data\` stands on one of its first lines. Throws `FileError`.
  public static func isARPA(_ path: String) throws -> Bool {
    let file = try PackedReader(path)
    for _ in 0..<mostLinesBefore {
      guard let line = try file.nextLine(), !line.contains(0) else { return false }
      if line.elementsEqual(dataLine) { return true }
    }
    return false
  }

  private static let dataLine = "\\data\\".utf8

  private init(_ file: PackedReader, _ progress: @escaping (Int, Int) throws -> Void) throws {
    self.file = file
    self.progress = progress
    vocabulary = try Vocabulary(kind: .words, entries: ["<unk>", "<eos>"])
  }

  private func model() throws -> NGramModel {
    try readCounts()
    try readWords()
    for order in 1..<counts.count {
      try readNGrams(order + 1)
    }
    guard try line(of: "\\end\\") else { throw wrong("'\\end\\'", try lastLine()) }
    let tree = try makeTree()
    return try NGramModel(tree, vocabulary, NGramMetadata(order: counts.count, tokenizer: .words))
  }

  // MARK: Lines

  private func wrong(
    _ expected: String, _ found: String, remedy: String = "use another copy, or make the file again"
  ) -> NGramModelError {
    NGramModelError("\(file.name), line \(file.line)", "expected \(expected), found \(found)", remedy: remedy)
  }

  private func quoted(_ bytes: some Collection<UInt8>) -> String {
    "'\(String(decoding: Array(bytes.lazy.prefix(60)), as: UTF8.self))'"
  }

  /// The line that was read last and did not fit.
  private var pending: [UInt8]?

  /// Whether the next line that is not empty is this one.
  private func line(of text: String) throws -> Bool {
    while let line = try nextLine() {
      if line.isEmpty { continue }
      if line.elementsEqual(text.utf8) { return true }
      pending = Array(line)
      return false
    }
    pending = nil
    return false
  }

  private func lastLine() throws -> String { pending.map(quoted) ?? "the end of the file" }

  /// Without blanks at its end.
  private func nextLine() throws -> UnsafeRawBufferPointer? {
    guard var line = try file.nextLine() else { return nil }
    while line.last.map(isBlank) ?? false { line = UnsafeRawBufferPointer(rebasing: line.dropLast()) }
    if file.line % (1 << 16) == 0 { try progress(file.bytesRead, file.size) }
    return line
  }

  private func readCounts() throws {
    var found = false
    while !found, file.line < Self.mostLinesBefore, let line = try nextLine() {
      found = line.elementsEqual(Self.dataLine)
    }
    guard found else {
      throw NGramModelError(
        file.name, "expected '\\data\\' on one of its first \(Self.mostLinesBefore) lines, found none",
        remedy: "name an ARPA file")
    }
    while let line = try nextLine() {
      if line.isEmpty {
        if counts.isEmpty { continue }
        break
      }
      let text = String(decoding: line.prefix(100), as: UTF8.self)
      let parts = text.dropFirst("ngram ".count).split(separator: "=", omittingEmptySubsequences: false).map {
        Int($0.filter { $0 != " " && $0 != "\t" })
      }
      guard text.hasPrefix("ngram "), parts.count == 2, let order = parts[0], let count = parts[1], count >= 0 else {
        throw wrong("a line as 'ngram 1=5000'", quoted(line))
      }
      guard order == counts.count + 1 else { throw wrong("'ngram \(counts.count + 1)='", quoted(line)) }
      guard NGramModel.orders.contains(order) else {
        throw wrong(
          "orders up to \(NGramModel.orders.upperBound)", "order \(order)", remedy: "use a model of a lower order")
      }
      counts.append(count)
    }
    guard !counts.isEmpty else { throw wrong("a line as 'ngram 1=5000'", "none") }
  }

  /// Each n-gram of a section: log10 p, its words and log10 of its backoff.
  private func section(
    _ order: Int, _ body: (Float, UnsafeBufferPointer<UnsafeRawBufferPointer>, Float) throws -> Void
  ) throws {
    guard try line(of: "\\\(order)-grams:") else { throw wrong("'\\\(order)-grams:'", try lastLine()) }
    var read = 0
    try withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: order + 3) { fields in
      while let line = try nextLine(), !line.isEmpty {
        let count = split(line, into: fields)
        guard count == order + 1 || count == order + 2 else {
          throw wrong("a number, \(counted(order, "word")) and perhaps another number", quoted(line))
        }
        guard read < counts[order - 1] else {
          throw wrong("\(counts[order - 1]) \(order)-grams, as the file says at its beginning", "more")
        }
        let probability = try number(fields[0], "log10 of a probability, which is at most 0")
        guard probability <= 0 else { throw wrong("log10 of a probability, which is at most 0", quoted(fields[0])) }
        let backoff = count == order + 2 ? try number(fields[count - 1], "log10 of a backoff") : 0
        try body(probability, UnsafeBufferPointer(rebasing: fields[1...order]), backoff)
        read += 1
      }
    }
    guard read == counts[order - 1] else {
      throw wrong("\(counts[order - 1]) \(order)-grams, as the file says at its beginning", "\(read)")
    }
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  /// Returns how many fields there are; one more than there is room for where there are too many.
  private func split(_ line: UnsafeRawBufferPointer, into fields: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>)
    -> Int
  {
    var (at, count) = (0, 0)
    while true {
      while at < line.count && isBlank(line[at]) { at += 1 }
      if at == line.count { return count }
      let start = at
      while at < line.count && !isBlank(line[at]) { at += 1 }
      if count == fields.count { return count + 1 }
      fields[count] = UnsafeRawBufferPointer(rebasing: line[start..<at])
      count += 1
    }
  }

  private func number(_ field: UnsafeRawBufferPointer, _ expected: String) throws -> Float {
    // SRILM writes the logarithm of 0 so, too.
    if field.elementsEqual("-inf".utf8) { return NGramTree.logZero }
    let value = ngrams_number(field.baseAddress?.assumingMemoryBound(to: CChar.self), field.count)
    guard value.isFinite else { throw wrong(expected, quoted(field)) }
    return value
  }

  // MARK: Words

  private func readWords() throws {
    var entries: [String] = ["<unk>", "<eos>"]
    var begin: (Float, Float)?
    var own: [(Float, Float)?] = [nil, nil]
    try section(1) { probability, fields, backoff in
      let word = fields[0]
      guard word.count <= Self.longestWord else {
        throw wrong("words of at most \(Self.longestWord) bytes", "one of \(word.count)")
      }
      guard Int(words.insert(word)) == numbers.count else { throw wrong("different words", "\(quoted(word)) again") }
      guard let text = String(validating: word, as: UTF8.self) else {
        throw wrong("words in UTF-8", "other bytes", remedy: "convert the file to UTF-8")
      }
      switch text {
      case ARPA.begin:
        begin = (probability, backoff)
        numbers.append(0)  // known when all are read
      case ARPA.end:
        own[1] = (probability, backoff)
        numbers.append(2)
      case ARPA.unknown, "<UNK>":
        guard own[0] == nil else { throw wrong("one unknown word", "<unk> and <UNK>") }
        own[0] = (probability, backoff)
        numbers.append(1)
      case "<eos>": throw wrong("</s> for the end of a sentence", "<eos>", remedy: "rename it to </s>")
      default:
        entries.append(text)
        own.append((probability, backoff))
        numbers.append(UInt32(entries.count))
      }
    }
    guard own[1] != nil else { throw wrong("</s> among the 1-grams", "none") }
    unigrams = [nil] + own.map { $0 ?? (Self.missingUnknown, 0) } + [begin ?? (NGramTree.logZero, 0)]
    if let place = Array(ARPA.begin.utf8).withUnsafeBytes(words.id(of:)) {
      numbers[Int(place)] = UInt32(entries.count + 1)
    }
    vocabulary = try Vocabulary(kind: .words, entries: entries, source: file.name)
  }

  private func readNGrams(_ order: Int) throws {
    let sorter = NGramSorter(order: order, words: vocabulary.count + 2)
    let begin = UInt32(vocabulary.count + 1)
    var ngram = [UInt32](repeating: 0, count: order)
    try section(order) { probability, fields, backoff in
      for (place, field) in fields.enumerated() {
        guard let id = words.id(of: field) else {
          throw wrong("words that are among the 1-grams", quoted(field))
        }
        ngram[place] = numbers[Int(id)]
        guard place == 0 || ngram[place] != begin else {
          throw wrong("<s> as the first word of an n-gram alone", "it after another")
        }
      }
      sorter.add(ngram, probability, backoff)
    }
    guard sorter.sort() else {
      throw NGramModelError(
        "\(file.name), \(order)-grams", "expected different n-grams, found one twice", remedy: "make the file again")
    }
    levels.append(sorter)
  }

  // MARK: The tree

  private func makeTree() throws -> NGramTree {
    // From the longest on: what an n-gram begins and ends with has to be there.
    for place in levels.indices.dropFirst().reversed() {
      levels[place - 1].addMissing(endingsOf: levels[place].beginnings(words: vocabulary.count + 2))
      levels[place - 1].addMissing(endingsOf: levels[place])
    }
    let sizes = [unigrams.count] + levels.map(\.count)
    var tree: [NGramTree.Level] = []
    for (place, size) in sizes.enumerated() {
      let isLast = place + 1 == sizes.count
      let level = NGramTree.Level(
        words: Column(place == 0 ? 0 : size), children: Column(isLast ? 0 : size + 1), probabilities: Column(size),
        backoffs: Column(isLast ? 0 : size))
      if place == 0 {
        for (word, unigram) in unigrams.enumerated() {
          level.probabilities[word] = unigram?.probability ?? NGramTree.logZero
          if !isLast { level.backoffs[word] = unigram?.backoff ?? 0 }
        }
      } else {
        levels[place - 1].write(to: level)
      }
      if !isLast { levels[place].writeParents(of: place == 0 ? nil : levels[place - 1], to: level.children) }
      tree.append(level)
    }
    fillMissing(tree)
    return NGramTree(tree)
  }

  /// Gives the n-grams that the file does not have the probability of backing off.
  private func fillMissing(_ tree: [NGramTree.Level]) {
    for (place, sorter) in levels.enumerated() {
      let level = tree[place + 1]
      for ngram in sorter.missing {
        let words = sorter.words(of: ngram)
        var context: Int? = Int(words[words.count - 2])
        for (level, word) in words.dropLast(2).reversed().enumerated() {
          guard let place = context else { break }
          let children = tree[level].children
          let found = ngrams_find(
            tree[level + 1].words.numbers.baseAddress, Int(children[place]), Int(children[place + 1]), word)
          context = found == Int.max || found < 0 ? nil : found
        }
        let below = tree[place]
        let parent = place == 0 ? Int(words.last!) : sorter.parent(of: ngram, among: below.children)
        level.probabilities[ngram] = below.probabilities[parent] + (context.map { below.backoffs[$0] } ?? 0)
      }
    }
  }
}
