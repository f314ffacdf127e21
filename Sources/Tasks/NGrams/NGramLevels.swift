import CNGrams
import NGramModels

/// The n-grams of all orders and how often each is counted, as a tree that reads backward: the n-grams of level 1 are the words
/// in turn, and below an n-gram stand those that are longer by one word before it, by the number of that word.
final class NGramLevels {
  struct Level {
    /// The first word of each n-gram; level 1 has none.
    let words: Column<UInt32>
    let counts: Column<UInt32>
    /// Where the n-grams of the next level begin that end with each, and one more; the last level has none.
    let children: Column<UInt32>
    var count: Int

    /// For C. Valid while the columns are.
    var view: ngrams_level {
      ngrams_level(
        words: words.numbers.baseAddress, counts: counts.numbers.baseAddress, children: children.numbers.baseAddress,
        count: count)
    }
  }

  let format: NGramKeys
  private let lineEnd: Int32?
  private(set) var levels: [Level]
  private let isContinuation: Bool
  private var previous: [UInt64]
  private var firstPlaces: [Int] = []

  /// With `continuation` an n-gram that is not of the highest order, and does not begin a sentence, counts as often as it is
  /// seen after another word (Kneser-Ney's counts).
  init(_ format: NGramKeys, lineEnd: Int32?, continuation: Bool) {
    self.format = format
    self.lineEnd = lineEnd
    isContinuation = continuation
    previous = [UInt64](repeating: 0, count: format.width)
    levels = (1...format.order).map { order in
      let size = order == 1 ? format.words : 0
      return Level(
        words: Column(order == 1 ? 0 : size), counts: Column(size, 0),
        children: Column(order == format.order ? 0 : size + 1), count: 0)
    }
  }

  /// Adds different n-grams of the highest order, sorted. Throws `NGramError` for one that is counted too often.
  func add(
    _ keys: UnsafePointer<UInt64>, _ counts: UnsafePointer<UInt64>, _ count: Int
  ) throws(NGramError) {
    for level in levels.indices.dropFirst() where levels[level].words.count < levels[level].count + count {
      let size = max(levels[level].count + count, levels[level].count + levels[level].count / 2)
      levels[level].words.resize(size)
      levels[level].counts.resize(size)
      if level + 1 < format.order { levels[level].children.resize(size + 1) }
    }
    let overflow = withLevels {
      ngrams_add_to_levels(
        keys, counts, count, Int32(format.order), Int32(format.bits), Int32(format.width), 0, isContinuation ? 1 : 0,
        &previous, $0)
    }
    guard overflow == 0 else { throw NGramError.countTooLarge }
  }

  /// After the last n-gram. `firstPlaces` says of each token how many stand before the first of it in the text.
  func close(firstPlaces: [Int]) {
    self.firstPlaces = firstPlaces
    withLevels { ngrams_close_levels(Int32(format.order), format.words, $0) }
    for level in levels.indices.dropFirst() {
      levels[level].words.resize(levels[level].count)
      levels[level].counts.resize(levels[level].count)
      if level + 1 < format.order { levels[level].children.resize(levels[level].count + 1) }
    }
  }

  private func withLevels<Result>(_ body: (UnsafeMutablePointer<ngrams_level>) -> Result) -> Result {
    var views = levels.map(\.view)
    let result = body(&views)
    for level in levels.indices { levels[level].count = views[level].count }
    return result
  }

  /// By order, 1 for each n-gram that stands in the text as often as `threshold` says of its order, or less; nil where there is
  /// none. What an n-gram begins and ends with stands there as often at least.
  func marks(_ threshold: (_ order: Int) -> Int) -> [Column<UInt8>?] {
    guard (1...format.order).contains(where: { threshold($0) > 0 }) else { return levels.map { _ in nil } }
    var marks: [Column<UInt8>?] = levels.map { _ in nil }
    var above: Column<UInt32>?
    for place in levels.indices.reversed() {
      let level = levels[place]
      // How often each stands there: as often as those that are longer by one, or as it is counted where there are none.
      let occurrences = Column<UInt32>(level.count)
      for ngram in 0..<level.count {
        let children = place + 1 < format.order ? Int(level.children[ngram])..<Int(level.children[ngram + 1]) : 0..<0
        occurrences[ngram] =
          children.isEmpty ? level.counts[ngram] : UInt32(clamping: children.reduce(0) { $0 + Int(above![$1]) })
      }
      let most = threshold(place + 1)
      if most > 0 {
        let own = Column<UInt8>(level.count)
        for ngram in 0..<level.count { own[ngram] = Int(occurrences[ngram]) <= most ? 1 : 0 }
        marks[place] = own
      }
      above = occurrences
    }
    return marks
  }

  /// How many n-grams of each order are counted once, twice and so on, up to `most` times: [order - 1][times - 1].
  ///
  /// KenLM counts the n-gram that it comes to last, in each order below the highest, as often as it stands in the text and not
  /// by the words before it. That moves discounts by some thousandths. So is done here, so that models are the same.
  func countsOfCounts(upTo most: Int) -> [[Int]] {
    var all = levels.map { level in
      var found = [Int](repeating: 0, count: most + 1)
      for count in level.counts.numbers where count <= most { found[Int(count)] += 1 }
      return found
    }
    if isContinuation {
      for (level, ngram) in lastOfKenLM.enumerated() {
        for (count, change) in [(levels[level].counts[ngram], -1), (occurrences(of: ngram, level), 1)]
        where count <= most {
          all[level][Int(count)] += change
        }
      }
    }
    return all.map { Array($0.dropFirst()) }
  }

  /// The n-gram that KenLM comes to last in each order below the highest: it numbers words as they come in a text, after
  /// `<s>` and `</s>`, and sorts n-grams backward by these numbers.
  private var lastOfKenLM: [Int] {
    guard format.order > 1 else { return [] }
    func number(_ word: UInt32) -> Int {
      if word == format.begin { return -2 }
      return Int(word) - 1 == lineEnd.map(Int.init) ? -1 : firstPlaces[Int(word) - 1]
    }
    func last(_ words: some Sequence<(Int, UInt32)>) -> (Int, UInt32)? { words.max { number($0.1) < number($1.1) } }
    let seen = (1...format.vocabularySize).lazy.filter { self.levels[0].counts[$0] > 0 }
    guard var found = last(seen.map { ($0, UInt32($0)) }) else { return [] }
    var path = [found.0]
    for level in 1..<max(format.order - 1, 1) {
      let below = levels[level - 1]
      let children = Int(below.children[path[level - 1]])..<Int(below.children[path[level - 1] + 1])
      guard let next = last(children.lazy.map { ($0, self.levels[level].words[$0]) }) else { break }
      found = next
      path.append(next.0)
    }
    return path
  }

  /// How often an n-gram stands in the text: of those that it ends, the longest and the first of a sentence are counted so.
  private func occurrences(of ngram: Int, _ level: Int) -> UInt32 {
    var (range, sum) = (ngram..<ngram + 1, 0)
    for place in level..<format.order {
      let isLast = place + 1 == format.order
      for at in range where isLast || place > 0 && levels[place].words[at] == format.begin {
        sum += Int(levels[place].counts[at])
      }
      if !isLast {
        range = Int(levels[place].children[range.lowerBound])..<Int(levels[place].children[range.upperBound])
      }
    }
    return UInt32(clamping: sum)
  }
}
