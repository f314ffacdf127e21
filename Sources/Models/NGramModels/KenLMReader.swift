import CNGrams
import Corpus
import Files

/// Reads a binary file of KenLM of the kind "probing".
///
/// Such a file has hashes of n-grams, not their words. They are found again by trying: for 2-grams all pairs of words;
/// for a longer one, of which all but the first word is known, those words that stand before the same words but for the
/// last one, since all but the last word of an n-gram is an n-gram of the model too. What is found has the hash that
/// KenLM looks for, so the model gives the same probabilities as KenLM does. An n-gram that is not found makes the file
/// a damaged one.
///
/// So the time grows with the square of the number of words: a second for 10,000, minutes for 100,000, hours for 10^6.
public final class KenLMReader {
  /// More words would take many hours.
  private static let mostWords = 1 << 20

  private let file: MappedFile
  private let layout: KenLMBinary
  private let progress: (_ done: Int, _ total: Int) throws -> Void
  private var vocabulary = Vocabulary.bytes
  /// KenLM's number of each of our words; 0 stands for no word, too.
  private var ids: [UInt32] = []
  private var done = 0

  /// A model of words. `progress` is told how many n-grams of how many were found, and may throw. Throws `FileError`,
  /// and `NGramModelError` for what is no such file, is damaged or has too many words.
  public static func read(
    _ path: String, progress: @escaping (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
  ) throws -> NGramModel {
    let (tree, vocabulary, metadata) = try tree(of: MappedFile(path), progress: progress)
    return try NGramModel(tree, vocabulary, metadata)
  }

  /// The same, before it is a model.
  public static func tree(
    of file: MappedFile, progress: @escaping (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
  ) throws -> (NGramTree, Vocabulary, NGramMetadata) {
    try KenLMReader(file, progress).tree()
  }

  /// Whether a file begins as one, of whatever kind and version. Throws `FileError`.
  public static func isKenLM(_ path: String) throws -> Bool {
    try MappedFile.withBytes(of: path) {
      $0.starts(with: KenLMBinary.beforeVersion.utf8) || $0.starts(with: KenLMBinary.incomplete.utf8)
    }
  }

  private init(_ file: MappedFile, _ progress: @escaping (Int, Int) throws -> Void) throws {
    self.file = file
    self.progress = progress
    layout = try KenLMBinary(file.bytes, file.path)
  }

  private var bytes: UnsafeRawBufferPointer { file.bytes }
  private var total: Int { layout.counts.reduce(0, +) }

  private func wrong(
    _ expected: String, _ found: String, remedy: String = "use another copy, or make the file again from its ARPA file"
  ) -> NGramModelError {
    NGramModelError(file.path, "expected \(expected), found \(found)", remedy: remedy)
  }

  private func tree() throws -> (NGramTree, Vocabulary, NGramMetadata) {
    try readWords()
    var shorter = try readUnigrams()
    // What 1-grams are longer than: of that there is one, which all words stand before and after.
    var siblings = Column<UInt32>(2)
    (siblings[0], siblings[1]) = (0, UInt32(ids.count))
    var levels: [NGramTree.Level] = []
    for order in 2...layout.order {
      let (found, children) = try findLonger(order, shorter, siblings)
      levels.append(shorter.level(order - 1, children))
      (shorter, siblings) = (found, children)
    }
    levels.append(shorter.level(layout.order, Column(0)))
    return (NGramTree(levels), vocabulary, NGramMetadata(order: layout.order, tokenizer: .words))
  }

  // MARK: Words

  private func readWords() throws {
    let version: UInt32 = bytes.little(at: layout.wordHeader)
    guard version == 0 else { throw wrong("version 0 of the table of words", "version \(version)") }
    let count = Int(bytes.little(at: layout.wordHeader + 4) as UInt32)
    // A model without <unk> has been given one.
    guard count == layout.counts[0] || count == layout.counts[0] + 1 else {
      throw wrong("\(layout.counts[0]) words", "\(count)")
    }
    guard count <= Self.mostWords else {
      throw wrong("at most \(Self.mostWords) words", "\(count)", remedy: "read the ARPA file that it was made of")
    }
    let strings = try readStrings(count)
    try checkHashes(strings)
    var entries = ["<unk>", "<eos>"]
    ids = [0, 0, 0]
    var (begin, end): (UInt32?, UInt32?)
    for (id, bytes) in strings.enumerated().dropFirst() {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw wrong("words in UTF-8", "other bytes", remedy: "convert the ARPA file to UTF-8, and make the file again")
      }
      switch text {
      case ARPA.begin: begin = UInt32(id)
      case ARPA.end: end = UInt32(id)
      case "<eos>":
        throw wrong("</s> for the end of a sentence", "<eos>", remedy: "rename it to </s> in the ARPA file")
      default:
        entries.append(text)
        ids.append(UInt32(id))
      }
    }
    guard let end else { throw wrong("</s> among the words", "none") }
    ids[2] = end
    // Without <s> what stands for it is no word of the file: its numbers are not looked at.
    hasBegin = begin != nil
    ids.append(begin ?? 0)
    do {
      vocabulary = try Vocabulary(kind: .words, entries: entries, source: file.path)
    } catch let error as CorpusError {
      throw NGramModelError(error.place, error.problem, remedy: error.remedy)
    }
  }

  private var hasBegin = true

  /// The words by number, each a slice of the file.
  private func readStrings(_ count: Int) throws -> [UnsafeRawBufferPointer] {
    var strings: [UnsafeRawBufferPointer] = []
    var start = layout.strings
    while start < bytes.count, strings.count < count {
      guard let end = bytes[start...].firstIndex(of: 0) else { break }
      strings.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      start = end + 1
    }
    guard strings.count == count, start == bytes.count else {
      throw wrong(
        "\(counted(count, "word")) at the end of the file",
        start == bytes.count || strings.count < count ? "\(strings.count)" : "\(bytes.count - start) bytes more")
    }
    guard strings.first?.elementsEqual(ARPA.unknown.utf8) == true else {
      throw wrong("<unk> as the first word", "another")
    }
    return strings
  }

  /// That the table has each word but <unk> by its hash.
  private func checkHashes(_ strings: [UnsafeRawBufferPointer]) throws {
    var seen = [Bool](repeating: false, count: strings.count)
    var count = 1
    for place in 0..<layout.words.buckets {
      let entry = layout.words.offset + place * layout.words.stride
      let hash: UInt64 = bytes.little(at: entry)
      if hash == 0 { continue }
      let id = Int(bytes.little(at: entry + 8) as UInt32)
      guard id > 0, id < strings.count, !seen[id], kenlm_word_hash(strings[id].baseAddress, strings[id].count) == hash
      else {
        throw wrong("the hashes of the words in their table", "others")
      }
      seen[id] = true
      count += 1
    }
    guard count == strings.count else { throw wrong("\(strings.count) words in their table", "\(count)") }
  }

  // MARK: Numbers

  /// N-grams that were found, sorted backward, and what longer ones are found by.
  private final class Found {
    let hashes: Column<UInt64>
    let words: Column<UInt32>
    /// The n-gram of the order below that is all but the last word of each.
    let contexts: Column<UInt32>
    let marks: Column<UInt8>
    let probabilities: Column<Float>
    let backoffs: Column<Float>

    init(_ count: Int, isLast: Bool) {
      (hashes, words, contexts) = (Column(count), Column(count), Column(count, 0))
      (marks, probabilities, backoffs) = (Column(count, 0), Column(count), Column(isLast ? 0 : count))
    }

    var count: Int { hashes.count }

    var ngrams: kenlm_ngrams {
      kenlm_ngrams(
        hashes: hashes.numbers.baseAddress, words: words.numbers.baseAddress, marks: marks.numbers.baseAddress)
    }

    func level(_ order: Int, _ children: Column<UInt32>) -> NGramTree.Level {
      NGramTree.Level(
        words: order == 1 ? Column(0) : words, children: children, probabilities: probabilities, backoffs: backoffs)
    }
  }

  /// Reads what stands at an offset of the file.
  private func read(_ offset: Int, to place: Int, of found: Found) throws {
    let probability = bytes.float(at: offset)
    guard !probability.isNaN else { throw wrong("log10 of probabilities", "what is no number") }
    found.probabilities[place] = probability == 0 ? 0 : probability.isInfinite ? NGramTree.logZero : -abs(probability)
    guard found.backoffs.count > 0 else { return }
    let backoff = bytes.float(at: offset + 4)
    guard backoff.isFinite else { throw wrong("log10 of backoffs", "what is no number") }
    found.backoffs[place] = backoff == 0 ? 0 : backoff
    // KenLM looks for nothing longer but after these.
    found.marks[place] = UInt8(
      (probability.sign == .plus ? KENLM_EXTENDS : 0)
        | (backoff.bitPattern != (-0.0 as Float).bitPattern ? KENLM_IS_CONTEXT : 0))
  }

  private func readUnigrams() throws -> Found {
    let found = Found(ids.count, isLast: false)
    for (word, id) in ids.enumerated() {
      (found.hashes[word], found.words[word]) = (UInt64(id), UInt32(word))
      if word == 0 || word + 1 == ids.count && !hasBegin {
        (found.probabilities[word], found.backoffs[word]) = (NGramTree.logZero, 0)
      } else {
        try read(layout.unigrams + Int(id) * layout.weightSize, to: word, of: found)
      }
    }
    done = found.count - 1
    return found
  }

  // MARK: Finding n-grams

  /// The hashes of an order, with room for what they are found by.
  private final class Index {
    let entries: Column<UInt64>
    private let filter: Column<UInt64>
    private let starts: Column<UInt32>
    private let seen: Column<UInt64>
    var index: kenlm_index

    init(_ table: UnsafeRawPointer, _ buckets: Int, _ stride: Int, count: Int) {
      entries = Column(2 * count)
      let scratch = Column<UInt64>(2 * count)
      let bytes = table.assumingMemoryBound(to: UInt8.self)
      _ = kenlm_collect(bytes, buckets, stride, entries.numbers.baseAddress)
      ngrams_sort(entries.numbers.baseAddress, scratch.numbers.baseAddress, count, 2)
      let startBits = max(Int.bitWidth - count.leadingZeroBitCount, 1)
      let filterBits = max(startBits + 4, 6)
      filter = Column(1 << (filterBits - 6), 0)
      starts = Column(1 << startBits + 1)
      seen = Column((count + 63) / 64, 0)
      index = kenlm_index(
        entries: entries.numbers.baseAddress, count: count, filter: filter.numbers.baseAddress,
        filter_bits: Int32(filterBits), starts: starts.numbers.baseAddress, start_bits: Int32(startBits),
        seen: seen.numbers.baseAddress, seen_count: 0)
      kenlm_fill_index(&index)
    }

    var count: Int { index.count }
    /// For n-grams that share a hash by chance, of which KenLM knows both: about none.
    var room: Int { count + count / 1024 + 16 }

    var isUnique: Bool { (1..<max(count, 1)).allSatisfy { entries[2 * $0] != entries[2 * $0 - 2] } }
  }

  private func index(_ order: Int) throws -> Index {
    let table = layout.tables[order - 2]
    let start = bytes.baseAddress! + table.offset
    let count = kenlm_collect(start.assumingMemoryBound(to: UInt8.self), table.buckets, table.stride, nil)
    // KenLM adds what longer n-grams end with.
    guard count >= layout.counts[order - 1], count < table.buckets else {
      throw wrong(
        "\(layout.counts[order - 1]) \(order)-grams or some more, and a free place in their table", "\(count)")
    }
    guard count < Int(UInt32.max) - Int(UInt32.max) / 512 else {
      throw wrong("fewer than \(UInt32.max) \(order)-grams", "\(count)", remedy: "use a smaller model")
    }
    let index = Index(start, table.buckets, table.stride, count: count)
    guard index.isUnique else { throw wrong("different hashes of the \(order)-grams", "one twice") }
    return index
  }

  private static let lastsAtOnce = 256
  /// Pairs that are tried between two calls of `progress`, about.
  private static let pairsAtOnce = 1 << 24
  /// Where fewer are tried, sorting does not pay.
  private static let fewPairs = 1 << 12

  /// The n-grams of an order, and where those begin that end with each that is shorter by one word. `siblings` is the
  /// same of the order below.
  private func findLonger(
    _ order: Int, _ shorter: Found, _ siblings: Column<UInt32>
  ) throws -> (Found, Column<UInt32>) {
    let index = try index(order)
    let pairs = Column<UInt64>(2 * index.room)
    let count = try findPairs(shorter, siblings, index, pairs)
    guard count <= index.room else { throw wrong("\(index.count) \(order)-grams", "words for more of them") }
    guard index.index.seen_count == index.count else {
      throw wrong(
        "the words of all \(index.count) \(order)-grams", "none for \(index.count - index.index.seen_count) of them")
    }
    done += index.count
    let scratch = Column<UInt64>(2 * count)
    ngrams_sort(pairs.numbers.baseAddress, scratch.numbers.baseAddress, count, 2)
    let found = Found(count, isLast: order == layout.order)
    let children = Column<UInt32>(shorter.count + 1)
    let table = layout.tables[order - 2]
    var next = 0
    for place in 0..<count {
      let (ending, sibling) = (Int(pairs[2 * place] >> 32), UInt32(truncatingIfNeeded: pairs[2 * place]))
      while next <= ending {
        children[next] = UInt32(place)
        next += 1
      }
      let entry = 2 * Int(pairs[2 * place + 1])
      found.hashes[place] = index.entries[entry]
      found.words[place] = shorter.words[Int(sibling)]
      found.contexts[place] = sibling
      try read(table.offset + Int(index.entries[entry + 1]) * table.stride + 8, to: place, of: found)
    }
    while next <= shorter.count {
      children[next] = UInt32(count)
      next += 1
    }
    guard order > 2 || Int(children[ids.count - 1]) == count else {
      throw wrong("<s> as the first word of an n-gram alone", "it after another")
    }
    try progress(min(done, total), total)
    return (found, children)
  }

  /// Writes to `pairs` each n-gram that a longer one of the index ends with, and the one that it begins with, and where
  /// the longer one is in the index. Returns how many they are, or a number above the room that there is.
  private func findPairs(
    _ shorter: Found, _ siblings: Column<UInt32>, _ index: Index, _ pairs: Column<UInt64>
  ) throws -> Int {
    let (endings, starts) = Self.byContext(shorter, contexts: siblings.count - 1)
    let terms = ids.map { kenlm_term($0) }
    var ngrams = shorter.ngrams
    let most = (0..<starts.count - 1).reduce(0) {
      max($0, Int(starts[$1 + 1] - starts[$1]), Int(siblings[$1 + 1] - siblings[$1]))
    }
    let (lasts, firsts, scratch) = (Column<UInt64>(2 * most), Column<UInt64>(2 * most), Column<UInt64>(2 * most))
    var (count, tried) = (0, 0)
    for context in 0..<starts.count - 1 {
      let lastCount = kenlm_lasts(
        &ngrams, endings.numbers.baseAddress! + Int(starts[context]), Int(starts[context + 1] - starts[context]),
        lasts.numbers.baseAddress)
      if lastCount == 0 { continue }
      let firstCount = kenlm_firsts(
        &ngrams, Int(siblings[context]), Int(siblings[context + 1]), terms, firsts.numbers.baseAddress)
      if lastCount * firstCount > Self.fewPairs {
        ngrams_sort(lasts.numbers.baseAddress, scratch.numbers.baseAddress, lastCount, 2)
        ngrams_sort(firsts.numbers.baseAddress, scratch.numbers.baseAddress, firstCount, 2)
      }
      for start in stride(from: 0, to: lastCount, by: Self.lastsAtOnce) {
        let part = min(Self.lastsAtOnce, lastCount - start)
        count += kenlm_find_pairs(
          lasts.numbers.baseAddress! + 2 * start, part, firsts.numbers.baseAddress, firstCount, &index.index,
          pairs.numbers.baseAddress! + 2 * count, index.room - count)
        if count > index.room { return count }
        tried += part * firstCount
        if tried >= Self.pairsAtOnce {
          tried = 0
          try progress(min(done + index.index.seen_count, total), total)
        }
      }
    }
    return count
  }

  /// N-grams sorted by their contexts, and where those of each begin.
  private static func byContext(_ ngrams: Found, contexts: Int) -> (Column<UInt32>, starts: Column<UInt32>) {
    let (sorted, starts) = (Column<UInt32>(ngrams.count), Column<UInt32>(contexts + 1, 0))
    for context in ngrams.contexts.numbers { starts[Int(context)] += 1 }
    var end: UInt32 = 0
    for context in 0...contexts {
      end += starts[context]
      starts[context] = end
    }
    for place in (0..<ngrams.count).reversed() {
      let context = Int(ngrams.contexts[place])
      starts[context] -= 1
      sorted[Int(starts[context])] = UInt32(place)
    }
    return (sorted, starts)
  }
}
