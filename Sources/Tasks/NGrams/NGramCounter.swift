import CNGrams
import Corpus
import NGramModels

/// Counts the n-grams of a text in bounded memory: what has been read is sorted and joined into runs, and the runs are merged.
public final class NGramCounter {
  let format: NGramKeys
  private let lineEnd: Int32?
  private var lastToken: Int32?
  /// The key before the next.
  private var last: [UInt64]
  private let keys: Column<UInt64>
  private var count = 0
  private let capacity: Int
  private var runs: [Run] = []
  /// Of each token, how many were read before the first of it.
  private(set) var firstPlaces: [Int]
  /// Tokens and closed sentences that were read.
  public private(set) var tokens = 0
  public private(set) var sentences = 0

  private struct Run {
    let keys: Column<UInt64>
    let counts: Column<UInt64>
  }

  /// Of sentences that end with the token `lineEnd`; nil where the text is one sentence. `buffer` is how many tokens are
  /// read between sorts.
  public init(_ format: NGramKeys, lineEnd: Int32?, buffer: Int) {
    self.format = format
    self.lineEnd = lineEnd
    lastToken = lineEnd
    last = [UInt64](repeating: 0, count: format.width)
    ngrams_begin(Int32(format.bits), Int32(format.width), UInt32(format.begin), &last)
    capacity = max(buffer, 1)
    keys = Column(capacity * format.width)
    firstPlaces = [Int](repeating: .max, count: format.vocabularySize)
  }

  public func add(_ tokens: UnsafeBufferPointer<Int32>) {
    for token in tokens {
      if firstPlaces[Int(token)] == .max { firstPlaces[Int(token)] = self.tokens }
      self.tokens += 1
      if token == lineEnd { sentences += 1 }
    }
    var rest = tokens[...]
    while let token = rest.last {
      let piece = UnsafeBufferPointer(rebasing: rest.prefix(capacity - count))
      ngrams_pack(
        piece.baseAddress, piece.count, Int32(format.order), Int32(format.bits), Int32(format.width),
        UInt32(format.begin), lineEnd ?? -1, &last, keys.numbers.baseAddress! + count * format.width)
      count += piece.count
      lastToken = token
      rest = rest.dropFirst(piece.count)
      if count == capacity { sort() }
    }
  }

  /// Turns the buffer into a run.
  private func sort() {
    guard count > 0 else { return }
    let width = format.width
    let start = keys.numbers.baseAddress!
    let scratch = Column<UInt64>(count * width)
    ngrams_sort(start, scratch.numbers.baseAddress, count, Int32(width))
    // The counts take the place of the scratch.
    let different = ngrams_unique(start, scratch.numbers.baseAddress, count, Int32(width))
    scratch.resize(different)
    let own = Column<UInt64>(different * width)
    own.numbers.baseAddress!.update(from: start, count: different * width)
    runs.append(Run(keys: own, counts: scratch))
    count = 0
  }

  /// Ends the text: a last sentence that is not closed is closed. Throws `NGramError`.
  func levels(continuation: Bool) throws -> NGramLevels {
    if let lineEnd, lastToken != lineEnd { withUnsafePointer(to: lineEnd) { add(.init(start: $0, count: 1)) } }
    sort()
    let levels = NGramLevels(format, lineEnd: lineEnd, continuation: continuation)
    let block = 1 << 14
    if runs.count == 1 {
      for start in stride(from: 0, to: runs[0].counts.count, by: block) {
        try levels.add(
          runs[0].keys.numbers.baseAddress! + start * format.width, runs[0].counts.numbers.baseAddress! + start,
          min(block, runs[0].counts.count - start))
      }
    } else {
      var views = runs.map {
        ngrams_run(
          keys: $0.keys.numbers.baseAddress, counts: $0.counts.numbers.baseAddress, count: $0.counts.count, goes_on: 0)
      }
      let (keys, counts) = (Column<UInt64>(block * format.width), Column<UInt64>(block))
      while true {
        let merged = ngrams_merge(
          &views, Int32(views.count), Int32(format.width), keys.numbers.baseAddress, counts.numbers.baseAddress, block)
        if merged == 0 { break }
        try levels.add(keys.numbers.baseAddress!, counts.numbers.baseAddress!, merged)
      }
    }
    runs = []
    levels.close(firstPlaces: firstPlaces)
    return levels
  }
}
