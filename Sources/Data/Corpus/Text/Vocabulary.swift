import Files

/// The tokens of a tokenizer and their numbers.
///
/// - words: 0 is `<unk>`, 1 is `<eos>`, then the words; one made from a text has them by descending count,
///   equal counts by their UTF-8 bytes
/// - characters: by code point; there is no unknown character
/// - bytes: all 256, each its own number
public struct Vocabulary: Equatable, Sendable {
  public let kind: TokenizerKind
  let table: WordTable

  /// The number of `<unk>` in a vocabulary of words.
  public static let unknown: Int32 = 0
  /// The number of `<eos>`, the end of a line, in a vocabulary of words.
  public static let endOfLine: Int32 = 1
  /// What `unknown` and `endOfLine` are called.
  static let specials = ["<unk>", "<eos>"]

  /// Whether more than a third of some tokens are `<unk>`: then what is said of their probabilities says little.
  public static func isMostlyUnknown(_ unknown: Int, of tokens: Int) -> Bool { unknown > tokens / 3 }

  /// The one vocabulary of bytes.
  public static let bytes = Vocabulary(unchecked: .bytes, (UInt8.min...UInt8.max).map { [$0] })

  public var count: Int { table.count }

  /// The bytes token `id` stands for. Traps if there is no such token.
  public func bytes(of id: Int32) -> ArraySlice<UInt8> { table[Int(id)] }

  /// The token that ends a line; nil for characters that have none.
  public var lineEnd: Int32? { kind == .words ? Vocabulary.endOfLine : id(of: [UInt8(ascii: "\n")]) }

  /// The token that a line begins after: the end of another, or token 0 where lines have no end.
  public var lineStart: Int32 { lineEnd ?? 0 }

  /// The number of the token of these bytes, or nil.
  public func id(of bytes: some Sequence<UInt8>) -> Int32? {
    Array(bytes).withUnsafeBytes { table.id(of: $0) }
  }

  /// The tokens as text, in the order of their numbers: what `init(kind:entries:)` takes. Empty for bytes,
  /// which need no list and are no text.
  public var entries: [String] {
    kind == .bytes ? [] : (0..<count).map { String(decoding: table[$0], as: UTF8.self) }
  }

  /// A vocabulary of the given tokens.
  ///
  /// Throws `CorpusError` with `source` as its place for duplicates, for words that begin with anything but
  /// `<unk>` and `<eos>` or hold white space, and for characters that are not one scalar each or not sorted.
  public init(kind: TokenizerKind, entries: [String], source: String = "vocabulary") throws {
    if let (position, problem) = Vocabulary.fault(in: entries, kind: kind) {
      throw CorpusError(
        "\(source), entry \(position)", problem, remedy: "use the list that the vocabulary was saved as")
    }
    if kind == .bytes {
      self = .bytes
      return
    }
    self.init(unchecked: kind, entries.map(\.utf8))
    guard table.count == entries.count else {
      throw CorpusError(
        source, "expected \(entries.count) different tokens, found \(table.count)",
        remedy: "use the list that the vocabulary was saved as")
    }
  }

  /// A vocabulary of tokens known to be in order; a repeated one counts once.
  init(unchecked kind: TokenizerKind, _ entries: some Sequence<some Sequence<UInt8>>) {
    var table = WordTable()
    for entry in entries {
      _ = Array(entry).withUnsafeBytes { table.insert($0) }
    }
    self.kind = kind
    self.table = table
  }

  /// The first entry that has no place in a list of its kind, and why.
  private static func fault(in entries: [String], kind: TokenizerKind) -> (position: Int, problem: String)? {
    switch kind {
    case .bytes:
      return entries.isEmpty ? nil : (0, "expected no list for bytes, found \(entries.count) entries")
    case .characters:
      var last = -1
      for (position, entry) in entries.enumerated() {
        guard let scalar = entry.unicodeScalars.first, entry.unicodeScalars.count == 1 else {
          return (position, "expected one Unicode scalar, found \"\(entry)\"")
        }
        if Int(scalar.value) <= last {
          return (
            position, "expected code points that grow, found U+\(scalar.value.digits(4, radix: 16, uppercase: true))"
          )
        }
        last = Int(scalar.value)
      }
    case .words:
      for (position, special) in specials.enumerated() {
        guard position < entries.count, Array(entries[position].utf8) == Array(special.utf8) else {
          return (position, "expected \(special)")
        }
      }
      for (position, entry) in entries.enumerated() {
        if entry.isEmpty || entry.unicodeScalars.contains(where: { isWhiteSpace($0.value) }) {
          return (position, "expected a word without white space, found \"\(entry)\"")
        }
      }
    }
    return nil
  }
}
