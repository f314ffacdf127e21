import CNGrams

/// The n-grams of one order while they are read in any order, to be sorted backward.
final class NGramSorter {
  private let order: Int
  private let bits: Int
  /// Of a key; behind each stands the place that its numbers were read at.
  private let width: Int
  private let keys = Column<UInt64>(0)
  private let probabilities = Column<Float>(0)
  private let backoffs = Column<Float>(0)
  private(set) var count = 0
  /// Places of those that were not read but added, once sorted.
  private(set) var missing: [Int] = []
  private var readCount = 0

  /// `words` is one more than the largest number of a word.
  init(order: Int, words: Int) {
    self.order = order
    bits = UInt32.bitWidth - UInt32(words - 1).leadingZeroBitCount
    width = (order * bits + 63) / 64
  }

  func add(_ words: some Collection<UInt32>, _ probability: Float, _ backoff: Float) {
    if count == probabilities.count {
      let room = max(count * 2, 1024)
      keys.resize(room * (width + 1))
      probabilities.resize(room)
      backoffs.resize(room)
    }
    let key = keys.numbers.baseAddress! + count * (width + 1)
    for limb in 0..<width { key[limb] = 0 }
    for (place, word) in words.reversed().enumerated() {
      let first = place * bits
      let (limb, shift) = (first / 64, 64 - bits - first % 64)
      if shift >= 0 {
        key[limb] |= UInt64(word) << shift
      } else {
        key[limb] |= UInt64(word) >> -shift
        key[limb + 1] |= UInt64(word) << (64 + shift)
      }
    }
    key[width] = UInt64(count)
    probabilities[count] = probability
    backoffs[count] = backoff
    count += 1
  }

  /// Sorts; says whether all are different.
  func sort() -> Bool {
    readCount = count
    sortKeys()
    return (1..<max(count, 1)).allSatisfy { !areEqual(key($0), key($0 - 1)) }
  }

  private func sortKeys() {
    let scratch = Column<UInt64>(count * (width + 1))
    ngrams_sort(keys.numbers.baseAddress, scratch.numbers.baseAddress, count, Int32(width + 1))
  }

  private func key(_ place: Int) -> UnsafePointer<UInt64> {
    UnsafePointer(keys.numbers.baseAddress! + place * (width + 1))
  }

  private func areEqual(_ one: UnsafePointer<UInt64>, _ other: UnsafePointer<UInt64>) -> Bool {
    (0..<width).allSatisfy { one[$0] == other[$0] }
  }

  private func word(_ key: UnsafePointer<UInt64>, _ place: Int) -> UInt32 {
    let first = place * bits
    let (limb, shift) = (first / 64, first % 64)
    var value = key[limb] << shift
    if shift + bits > 64 { value |= key[limb + 1] >> (64 - shift) }
    return UInt32(value >> (64 - bits))
  }

  /// From the first to the last.
  func words(of place: Int) -> [UInt32] { (0..<order).reversed().map { word(key(place), $0) } }

  /// Compares as many words as both have, from the last on.
  private func compare(_ place: Int, with longer: NGramSorter, _ other: Int) -> Int {
    let (one, two) = (key(place), longer.key(other))
    for place in 0..<order {
      let (a, b) = (word(one, place), longer.word(two, place))
      if a != b { return a < b ? -1 : 1 }
    }
    return 0
  }

  /// Those that n-grams of this order begin with: all but the last word.
  func beginnings(words: Int) -> NGramSorter {
    let shorter = NGramSorter(order: order - 1, words: words)
    for place in 0..<count { shorter.add(self.words(of: place).dropLast(), 0, 0) }
    _ = shorter.sort()
    return shorter
  }

  /// Adds what others of this order or longer by one end with, where it is not here, and sorts again.
  func addMissing(endingsOf longer: NGramSorter) {
    let sorted = count
    var place = 0
    var last: Int?
    for other in 0..<longer.count {
      while place < sorted && compare(place, with: longer, other) < 0 { place += 1 }
      if place < sorted && compare(place, with: longer, other) == 0 { continue }
      if let last, compare(last, with: longer, other) == 0 { continue }
      last = count
      add((0..<order).reversed().map { longer.word(longer.key(other), $0) }, 0, 0)
    }
    guard count > sorted else { return }
    sortKeys()
  }

  func write(to level: NGramTree.Level) {
    for place in 0..<count {
      let key = key(place)
      level.words[place] = word(key, order - 1)
      let source = Int(key[width])
      level.probabilities[place] = probabilities[source]
      if level.backoffs.count > 0 { level.backoffs[place] = backoffs[source] }
      if source >= readCount { missing.append(place) }
    }
  }

  /// Where those of this order begin that each n-gram of the order below ends; nil for the words.
  func writeParents(of below: NGramSorter?, to children: Column<UInt32>) {
    let parents = children.count - 1
    var place = 0
    for parent in 0..<parents {
      children[parent] = UInt32(place)
      while place < count,
        below.map({ $0.compare(parent, with: self, place) == 0 }) ?? (Int(word(key(place), 0)) == parent)
      {
        place += 1
      }
    }
    children[parents] = UInt32(place)
  }

  /// The n-gram of the order below that this one ends with.
  func parent(of place: Int, among children: Column<UInt32>) -> Int {
    var (low, high) = (0, children.count - 1)
    while low + 1 < high {
      let middle = (low + high) / 2
      if Int(children[middle]) <= place { low = middle } else { high = middle }
    }
    return low
  }
}
