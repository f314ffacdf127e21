import CNGrams
import Corpus
import Files

extension NGramModel {
  /// Writes the model as a binary file of KenLM, of the kind "probing": what `build_binary` makes of the model's ARPA
  /// file. KenLM as it is built usually opens models up to order 6. Needs as much memory as the n-grams of the most
  /// frequent order take in the file. `progress` is told how many n-grams of how many are written, and may throw.
  ///
  /// Throws `FileError`; `NGramModelError` for models of order 1, models of characters or bytes, words that KenLM
  /// cannot have, and n-grams that are longer by one word than all that the model has of their beginning.
  public func writeKenLM(to path: String, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }) throws {
    let strings = try kenLMStrings()
    let counts = counts
    guard KenLMBinary.orders.contains(order) else {
      throw NGramModelError(
        "the model", "expected order 2 or more, which KenLM needs, found \(order)", remedy: "write it as an ARPA file")
    }
    guard let layout = KenLMBinary(.probing, counts: counts, limit: Int.max / 2) else {
      preconditionFailure("\(counts) n-grams fit no file")
    }
    let total = counts.reduce(0, +)
    var done = 0
    try OutputFile.replace(path) { file in
      try file.write(layout.header)
      try writeKenLMWords(strings, layout, to: file)
      for order in 1...self.order {
        let entries = KenLMEntries(layout, order)
        try fill(entries, order)
        if order < self.order { try mark(entries, order) }
        try file.write(entries.bytes)
        done += counts[order - 1]
        try progress(done, total)
      }
      for string in strings {
        try file.write(string)
        try file.write([0])
      }
    }
  }

  /// By KenLM's numbers: ours less 1.
  private func kenLMStrings() throws -> [[UInt8]] {
    guard vocabulary.kind == .words else {
      throw NGramModelError(
        "the model", "expected words, found \(vocabulary.kind.rawValue)", remedy: "write it as an ARPA file")
    }
    let strings = ARPA.names(vocabulary)
    for (number, string) in strings.enumerated() {
      let text = String(decoding: string, as: UTF8.self)
      let isOwn =
        text == ARPA.begin && number + 1 != strings.count || text == ARPA.end && number != Vocabulary.endOfLine
      guard !isOwn, !string.contains(0) else {
        throw NGramModelError(
          "word \(number) of the model", "expected none that is <s>, </s> or has a zero byte, found '\(text)'",
          remedy: "replace it in the text and count the text again")
      }
    }
    return strings
  }

  private func writeKenLMWords(_ strings: [[UInt8]], _ layout: KenLMBinary, to file: OutputFile) throws {
    let entries = KenLMEntries(layout.words)
    for (number, string) in strings.enumerated().dropFirst() {  // <unk> is what is not found
      let entry = try entries.add(string.withUnsafeBytes { kenlm_word_hash($0.baseAddress, $0.count) })
      entry.storeBytes(of: UInt32(number), toByteOffset: 8, as: UInt32.self)
    }
    let header: [UInt32] = [0, UInt32(strings.count)]
    try header.withUnsafeBytes { try file.write($0) }
    try file.write(entries.bytes)
  }

  /// Puts the n-grams of an order in, as if none were a context and none had a longer one that ends with it.
  private func fill(_ entries: KenLMEntries, _ order: Int) throws {
    try forEach(order: order) { words, probability, backoff in
      if words[0] == 0 { return }  // stands for no word
      let entry = order == 1 ? entries.unigram(words[0] - 1) : try entries.add(kenlm_hash(words.baseAddress, order, 1))
      // <s> has p 1, and as KenLM makes it the other sign.
      entries.set(probability: order == 1 && words[0] == begin ? 0 : -abs(probability), of: entry)
      if let backoff { entries.set(backoff: backoff == 0 ? -0.0 : backoff, of: entry) }
    }
  }

  /// Marks what the n-grams that are longer by one word begin and end with.
  private func mark(_ entries: KenLMEntries, _ order: Int) throws {
    var missing = 0
    forEach(order: order + 1) { words, _, _ in
      if order == 1 {
        entries.markExtended(entries.unigram(words[1] - 1))
        entries.markContext(entries.unigram(words[0] - 1))
        return
      }
      let first = words.baseAddress!
      if let ending = entries.find(kenlm_hash(first + 1, order, 1)) { entries.markExtended(ending) }
      if let context = entries.find(kenlm_hash(first, order, 1)) { entries.markContext(context) } else { missing += 1 }
    }
    guard missing == 0 else {
      throw NGramModelError(
        "\(order + 1)-grams of the model",
        "expected all but the last word of each among the \(order)-grams, as KenLM does, found \(missing) without",
        remedy: "write it as an ARPA file, or make the model again")
    }
  }
}

/// The numbers of the n-grams of an order as the file will have them.
private final class KenLMEntries {
  let bytes: UnsafeRawBufferPointer
  private let memory: Column<UInt8>
  private var table: kenlm_table
  /// Where the numbers begin in an entry.
  private let weights: Int

  convenience init(_ layout: KenLMBinary, _ order: Int) {
    if order > 1 {
      self.init(layout.tables[order - 2])
    } else {
      self.init(buckets: layout.counts[0] + 1, stride: layout.weightSize, weights: 0)
    }
  }

  convenience init(_ table: KenLMBinary.Table) { self.init(buckets: table.buckets, stride: table.stride, weights: 8) }

  private init(buckets: Int, stride: Int, weights: Int) {
    memory = Column(buckets * stride, 0)
    bytes = UnsafeRawBufferPointer(memory.numbers)
    table = kenlm_table(entries: memory.numbers.baseAddress, buckets: buckets, stride: stride)
    self.weights = weights
  }

  func unigram(_ id: UInt32) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(table.entries + Int(id) * table.stride)
  }

  func find(_ hash: UInt64) -> UnsafeMutableRawPointer? {
    guard let entry = kenlm_find(&table, hash) else { return nil }
    let pointer = UnsafeMutableRawPointer(entry)
    return pointer.loadUnaligned(as: UInt64.self) == hash ? pointer : nil
  }

  /// The new entry of a hash.
  func add(_ hash: UInt64) throws -> UnsafeMutableRawPointer {
    guard hash != 0, let entry = kenlm_find(&table, hash) else { throw Self.sameHash }
    let pointer = UnsafeMutableRawPointer(entry)
    guard pointer.loadUnaligned(as: UInt64.self) == 0 else { throw Self.sameHash }
    pointer.storeBytes(of: hash, as: UInt64.self)
    return pointer
  }

  private static let sameHash = NGramModelError(
    "the model", "expected different hashes of all words and n-grams, found one twice, which KenLM cannot tell apart",
    remedy: "write it as an ARPA file")

  func set(probability: Float, of entry: UnsafeMutableRawPointer) {
    entry.storeBytes(of: probability, toByteOffset: weights, as: Float.self)
  }

  func set(backoff: Float, of entry: UnsafeMutableRawPointer) {
    entry.storeBytes(of: backoff, toByteOffset: weights + 4, as: Float.self)
  }

  func markExtended(_ entry: UnsafeMutableRawPointer) {
    let probability = entry.loadUnaligned(fromByteOffset: weights, as: Float.self)
    entry.storeBytes(of: abs(probability), toByteOffset: weights, as: Float.self)
  }

  func markContext(_ entry: UnsafeMutableRawPointer) {
    if entry.loadUnaligned(fromByteOffset: weights + 4, as: Float.self) == 0 { set(backoff: 0, of: entry) }
  }
}
