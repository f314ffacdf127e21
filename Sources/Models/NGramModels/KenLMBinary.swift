import Files

/// KenLM's binary format, version 5 (K. Heafield), of the kind "probing": hash tables that a file has as memory has
/// them, little-endian.
///
/// A block of test values and a header come first. A table of the hashes of the words with their numbers follows; log10
/// of p and of the backoff of each word; of each order from 2 on a table of the hashes of the n-grams with the same two
/// numbers, or for the highest order p alone; and the words themselves. The sign of a log10 p, which is never above 0,
/// says something else: it is set where no longer n-gram ends with this one. A backoff of -0 is that of an n-gram that
/// is no context.
struct KenLMBinary {
  enum Kind: UInt32, CaseIterable {
    case probing, restProbing, trie, quantizedTrie, arrayTrie, quantizedArrayTrie

    var description: String {
      switch self {
      case .probing: "probing"
      case .restProbing: "probing with rest costs"
      case .trie: "trie"
      case .quantizedTrie: "trie with quantization"
      case .arrayTrie: "trie with array-compressed pointers"
      case .quantizedArrayTrie: "trie with quantization and array-compressed pointers"
      }
    }
  }

  /// A hash table in a file.
  struct Table {
    /// Where it begins.
    let offset: Int
    /// Entries that there is room for.
    let buckets: Int
    /// Bytes of an entry, the first 8 of them its hash.
    let stride: Int

    var size: Int { buckets * stride }
    var end: Int { offset + size }
  }

  static let beforeVersion = "mmap lm http://kheafield.com/code format version"
  static let incomplete = "mmap lm http://kheafield.com/code incomplete\n"
  static let version = 5
  /// KenLM's `build_binary` makes tables half as large again as their entries.
  static let usualMultiplier: Float = 1.5
  /// Bytes of the test values, and of what stands between them and the counts.
  static let (testSize, fixedSize) = (88, 20)
  static let orders = 2...NGramModel.orders.upperBound

  let kind: Kind
  /// N-grams of each order, as they were in the ARPA file.
  let counts: [Int]
  let multiplier: Float

  /// Where the version and the number of the words stand, before their table.
  let wordHeader: Int
  let words: Table
  /// Where the numbers of the words begin, and how many bytes a word has.
  let unigrams: Int
  let weightSize: Int
  /// From order 2 on.
  let tables: [Table]
  /// Where the words themselves begin: the end of what has a known size.
  let strings: Int

  var order: Int { counts.count }

  /// Nil where it would be larger than `limit` bytes. Only for kinds with hash tables.
  init?(_ kind: Kind, counts: [Int], multiplier: Float = usualMultiplier, limit: Int) {
    self.kind = kind
    self.counts = counts
    self.multiplier = multiplier
    weightSize = kind == .restProbing ? 12 : 8
    var next = Self.headerSize(order: counts.count)
    func table(_ count: Int, _ stride: Int) -> Table? {
      // As KenLM computes it, in 32-bit floating point.
      let wanted = multiplier * Float(count)
      guard count >= 0, wanted.isFinite, wanted < Float(limit), count < limit / stride else { return nil }
      let table = Table(offset: next, buckets: max(count + 1, Int(wanted)), stride: stride)
      guard table.buckets <= (limit - next) / stride else { return nil }
      next = table.end
      return table
    }
    wordHeader = next
    next += 8
    guard next <= limit, let words = table(counts[0], 12) else { return nil }
    self.words = words
    unigrams = next
    guard counts[0] < (limit - next) / weightSize else { return nil }
    next += (counts[0] + 1) * weightSize
    var tables: [Table] = []
    for (place, count) in counts.enumerated().dropFirst() {
      guard let table = table(count, place + 1 == counts.count ? 12 : 8 + weightSize) else { return nil }
      tables.append(table)
    }
    self.tables = tables
    strings = next
  }

  private static func headerSize(order: Int) -> Int { (testSize + fixedSize + 8 * order + 7) / 8 * 8 }

  // MARK: The header

  /// What a file of this machine and version begins with.
  static let testBytes: [UInt8] = {
    var bytes = Array("\(beforeVersion) \(version)\n".utf8)
    bytes += [UInt8](repeating: 0, count: 56 - bytes.count)
    for number: Float in [0, 1, -0.5] { bytes.append(little: number.bitPattern) }
    for number: UInt32 in [1, .max, 0] { bytes.append(little: number) }
    bytes.append(little: UInt64(1))
    return bytes
  }()

  /// Up to the words.
  var header: [UInt8] {
    var bytes = Self.testBytes
    bytes.append(little: UInt32(order))
    bytes.append(little: multiplier.bitPattern)
    bytes.append(little: kind.rawValue)
    bytes.append(little: UInt32(1))  // has the words themselves
    bytes.append(little: UInt32(0))  // version of the tables
    for count in counts { bytes.append(little: UInt64(count)) }
    bytes += [UInt8](repeating: 0, count: wordHeader - bytes.count)
    return bytes
  }

  /// Reads the header of a file, whose size has to be what the header says at least. Throws `NGramModelError`.
  init(_ bytes: UnsafeRawBufferPointer, _ path: String) throws {
    func wrong(_ expected: String, _ found: String, _ remedy: String) -> NGramModelError {
      NGramModelError(path, "expected \(expected), found \(found)", remedy: remedy)
    }
    let again = "use another copy, or make the file again with KenLM's build_binary"
    if bytes.starts(with: Self.incomplete.utf8) {
      throw wrong("a finished binary model of KenLM", "one that was not written to its end", again)
    }
    guard bytes.starts(with: Self.beforeVersion.utf8) else {
      throw wrong("a binary model of KenLM", "another file", "name a file that KenLM's build_binary made")
    }
    guard bytes.count >= Self.testSize + Self.fixedSize else {
      throw wrong("a header of \(Self.testSize + Self.fixedSize) bytes and more", "\(bytes.count)", again)
    }
    let line = bytes[Self.beforeVersion.utf8.count..<56].prefix { $0 != UInt8(ascii: "\n") }
    let version = String(decoding: line, as: UTF8.self).filter { $0 != " " }
    if let number = Int(version), number != Self.version {
      throw wrong(
        "version \(Self.version) of KenLM's binary format", "version \(number)",
        "make the file again from its ARPA file with a newer build_binary")
    }
    guard bytes.prefix(Self.testSize).elementsEqual(Self.testBytes) else {
      throw wrong("the test values of a 64-bit, little-endian machine", "others", again)
    }
    let order = Int(bytes[Self.testSize])
    let multiplier = Float(bitPattern: bytes.little(at: Self.testSize + 4))
    let kind: UInt32 = bytes.little(at: Self.testSize + 8)
    let hasWords = bytes[Self.testSize + 12] != 0
    let search: UInt32 = bytes.little(at: Self.testSize + 16)
    switch Kind(rawValue: kind) {
    case .probing, .restProbing: break
    case let other:
      throw wrong(
        "a model of the kind probing", other.map { "one of the kind \($0.description)" } ?? "kind \(kind)",
        "use the ARPA file that it was made of, or make 'build_binary probing' of it")
    }
    guard search == 0 else { throw wrong("version 0 of the hash tables", "version \(search)", again) }
    guard Self.orders.contains(order) else {
      throw wrong("an order from 2 to \(Self.orders.upperBound)", "\(order)", "use a model of another order")
    }
    guard multiplier >= 1 else {
      throw wrong("tables as large as their entries or larger", "\(multiplier) times", again)
    }
    guard hasWords else {
      throw wrong(
        "the words at the end of the file", "none", "use the ARPA file, or build_binary of it, which keeps the words")
    }
    let size = Self.headerSize(order: order)
    guard bytes.count >= size else { throw wrong("a header of \(size) bytes", "\(bytes.count)", again) }
    let counts: [UInt64] = (0..<order).map { bytes.little(at: Self.testSize + Self.fixedSize + 8 * $0) }
    guard
      let layout = counts.allSatisfy({ $0 < Int.max })
        ? Self(Kind(rawValue: kind)!, counts: counts.map { Int($0) }, multiplier: multiplier, limit: bytes.count) : nil
    else {
      throw wrong(
        "room for \(counts.map { "\($0)" }.joined(separator: ", ")) n-grams of order 1 and so on, as the header says",
        "a file of \(bytes.count) bytes", again)
    }
    self = layout
  }
}

extension [UInt8] {
  fileprivate mutating func append(little number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }
}

extension UnsafeRawBufferPointer {
  /// A number that need not stand at a multiple of its size.
  func little<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Number {
    Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
  }

  func float(at offset: Int) -> Float { Float(bitPattern: little(at: offset)) }
}
