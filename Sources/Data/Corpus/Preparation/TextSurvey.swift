import Files

/// The first pass over a text: counts its tokens and gathers what its vocabulary is made of.
struct TextSurvey {
  let kind: TokenizerKind
  private(set) var tokens = 0
  /// For characters: whether a scalar was seen, by its value.
  private var seen: [Bool]
  /// For words: the words, and how often each was seen.
  private var words = WordTable()
  private var counts: [Int] = []
  /// Words too long for any vocabulary: how many, and where the first begins.
  private var longWords = 0
  private var firstLongWord: (text: TextStretch, offset: Int)?

  /// More different words than any vocabulary has: what goes beyond is not a text of words.
  static let maximumDistinctWords = 20_000_000

  init(_ kind: TokenizerKind) {
    self.kind = kind
    seen = kind == .characters ? [Bool](repeating: false, count: 0x11_0000) : []
  }

  /// Takes in one part's text. `gatherWords` is false where new words do not enter the vocabulary.
  /// Returns how many tokens it has. `progress` is told the bytes of each piece; what it throws ends the survey.
  mutating func read(
    _ text: [TextStretch], gatherWords: Bool, pieceSize: Int = TextStretch.pieceSize,
    maximumDistinctWords: Int = TextSurvey.maximumDistinctWords, progress: (Int) throws -> Void
  ) throws -> Int {
    let before = tokens
    for stretch in text {
      if kind == .bytes {
        tokens += stretch.range.count
        try progress(stretch.range.count)
        continue
      }
      try stretch.read(droppingMark: true, pieceSize: pieceSize) { piece, offset, isLast in
        var long: Int?
        let consumed =
          switch kind {
          case .words: try gather(piece, isLast: isLast, gatherWords ? maximumDistinctWords : nil, firstLong: &long)
          case .characters, .bytes: try gatherCharacters(piece, isLast: isLast)
          }
        if let long, firstLongWord == nil { firstLongWord = (stretch, offset + long) }
        try progress(consumed)
        return consumed
      }
    }
    return tokens - before
  }

  private mutating func gatherCharacters(
    _ piece: UnsafeRawBufferPointer, isLast: Bool
  ) throws(TextFault) -> Int {
    var count = 0
    let consumed = try seen.withUnsafeMutableBufferPointer { seen throws(TextFault) in
      try scanScalars(piece, isLast: isLast) { scalar, _ in
        seen[Int(scalar)] = true
        count += 1
      }
    }
    tokens += count
    return consumed
  }

  /// Counts words, and gathers the different ones where there is a bound to them; says where in the piece the first of those
  /// is that are too long.
  private mutating func gather(
    _ piece: UnsafeRawBufferPointer, isLast: Bool, _ maximumDistinctWords: Int?, firstLong: inout Int?
  ) throws(TextFault) -> Int {
    var count = 0
    let consumed = try scanWords(piece, isLast: isLast) { word, offset throws(TextFault) in
      count += 1
      if word.count > maximumWordLength {
        longWords += 1
        firstLong = firstLong ?? offset
        return
      }
      guard let maximumDistinctWords else { return }
      let id = Int(words.insert(word))
      if id < counts.count {
        counts[id] += 1
        return
      }
      counts.append(1)
      if id >= maximumDistinctWords {
        throw TextFault(
          offset: offset, problem: "expected at most \(maximumDistinctWords) different words, found more",
          remedy: "use the tokenizer `characters` or `bytes`, or a fixed vocabulary (corpus.vocabulary)")
      }
    } lineEnd: {
      count += 1
    }
    tokens += count
    return consumed
  }

  /// What is to be told of words that are too long; nil if there are none. Throws `FileError`.
  var warning: String? {
    get throws {
      guard let (text, offset) = firstLongWord else { return nil }
      let place = try MappedFile.withBytes(of: text.path) { textPlace($0, at: offset, of: text.name) }
      let (words, first) = longWords == 1 ? ("1 word has", "it is at") : ("\(longWords) words have", "the first is at")
      return
        "\(words) more than \(maximumWordLength) bytes and \(longWords == 1 ? "is" : "are") read as <unk>; \(first) \(place)"
    }
  }

  /// The vocabulary of all text read so far. For words: those seen at least `minimumCount` times, at most
  /// `maximumSize` tokens in all (0 for any number), the most frequent first. `meanwhile` is called now and then: to sort
  /// millions takes seconds.
  func vocabulary(
    minimumCount: Int, maximumSize: Int, meanwhile: () throws -> Void = {}
  ) rethrows -> Vocabulary {
    switch kind {
    case .bytes: return .bytes
    case .characters:
      let scalars = seen.indices.lazy.filter { seen[$0] }.compactMap { Unicode.Scalar(UInt32($0)) }
      return Vocabulary(unchecked: .characters, scalars.map { Array(String(Character($0)).utf8) })
    case .words:
      let specials = Vocabulary.specials.map { ArraySlice($0.utf8) }
      var comparisons = 0
      let ranked = try counts.indices
        .filter { counts[$0] >= minimumCount && !specials.contains(words[$0]) }
        .sorted {
          comparisons += 1
          if comparisons.isMultiple(of: 1 << 20) { try meanwhile() }
          return (-counts[$0], words[$0]) < (-counts[$1], words[$1])
        }
      let room = maximumSize > 0 ? maximumSize - specials.count : ranked.count
      return Vocabulary(unchecked: .words, specials + ranked.prefix(room).map { words[$0] })
    }
  }
}

/// Byte strings are ordered as their UTF-8 is.
private func < (left: (Int, ArraySlice<UInt8>), right: (Int, ArraySlice<UInt8>)) -> Bool {
  left.0 != right.0 ? left.0 < right.0 : left.1.lexicographicallyPrecedes(right.1)
}
