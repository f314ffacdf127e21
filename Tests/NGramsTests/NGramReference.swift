import Foundation

@testable import NGrams

/// Smoothing as its formulas say, over dictionaries, in Double: slow and plain. Words are 0 to `vocabularySize` - 1, and -1
/// stands before a sentence.
struct NGramReference {
  let order: Int
  let vocabularySize: Int
  let settings: NGramSettings
  let discounts: [Discounts]
  /// By n-gram: how often it stands in the text, and how often it counts.
  private var occurrences: [[Int]: Int] = [:]
  private var counts: [[Int]: Int] = [:]
  /// What was seen after a context.
  private var following: [[Int]: [Int]] = [:]

  init(_ sentences: [[Int]], vocabularySize: Int, _ settings: NGramSettings, discounts: [Discounts]) {
    order = settings.order
    self.vocabularySize = vocabularySize
    self.settings = settings
    self.discounts = discounts
    for sentence in sentences {
      let text = [-1] + sentence
      for end in 1..<text.count {
        for length in 1...order where length <= end + 1 {
          occurrences[Array(text[(end - length + 1)...end]), default: 0] += 1
        }
      }
    }
    counts = occurrences
    if settings.smoothing.countsContinuations {
      for ngram in occurrences.keys where ngram.count < order && ngram[0] != -1 { counts[ngram] = 0 }
      for ngram in occurrences.keys where ngram.count > 1 && ngram[1] != -1 && ngram.count <= order {
        let ending = Array(ngram.dropFirst())
        if ending.count < order { counts[ending]! += 1 }
      }
    }
    for ngram in occurrences.keys { following[Array(ngram.dropLast()), default: []].append(ngram.last!) }
  }

  /// How many n-grams of each order are different.
  var different: [Int] { (1...order).map { length in occurrences.keys.count { $0.count == length } } }

  /// p of a word after a context of any length.
  func p(_ word: Int, after context: [Int]) -> Double {
    // A sentence has nothing before its beginning.
    var context = Array(context.suffix(order - 1))
    if let begin = context.lastIndex(of: -1) { context = Array(context[begin...]) }
    return p(word, context)
  }

  private func p(_ word: Int, _ context: [Int]) -> Double {
    let uniform = 1 / Double(vocabularySize)
    func shorter() -> Double { context.isEmpty ? uniform : p(word, Array(context.dropFirst())) }
    guard let seen = following[context] else { return shorter() }
    let threshold = settings.threshold(context.count + 1)
    func isKept(_ word: Int) -> Bool { occurrences[context + [word]].map { $0 > threshold } ?? false }
    let isFull = context.count == order - 1 || context.first == -1
    let total = Double(seen.reduce(0) { $0 + counts[context + [$1]]! })
    let count = isKept(word) ? counts[context + [word]] : nil
    // What is left out counts for shorter contexts.
    let lost = Double(seen.filter { !isKept($0) }.reduce(0) { $0 + counts[context + [$1]]! })
    let types = Double(seen.count)
    func lower(_ word: Int) -> Double { context.isEmpty ? uniform : p(word, Array(context.dropFirst())) }
    switch settings.smoothing {
    case .none where lost == 0: return Double(count ?? 0) / total
    case .stupidBackoff:
      if let count { return Double(count) / total }
      return context.isEmpty ? 0 : 0.4 * shorter()
    case .addDelta:
      guard isFull else { return uniform }
      let mass = total + settings.delta * Double(vocabularySize)
      return (Double(count ?? 0) + settings.delta) / mass + lost / mass * uniform
    default: break
    }
    let taken = discounts[context.count]
    var kept = seen.reduce(lost) { $0 + (isKept($1) ? taken.of(UInt32(counts[context + [$1]]!)) : 0) }
    var denominator = total
    var own = count.map { Double($0) - taken.of(UInt32($0)) } ?? 0
    if settings.smoothing == .wittenBell || kept == 0 {
      kept = types + lost
      denominator = total + types
      own = Double(count ?? 0)
    }
    if settings.interpolates && settings.smoothing.canInterpolate {
      return own / denominator + kept / denominator * shorter()
    }
    if seen.count(where: isKept) == vocabularySize { return own / (denominator - kept) }
    if count != nil { return own / denominator }
    return kept / denominator * shorter() / (1 - seen.reduce(0.0) { $0 + (isKept($1) ? lower($1) : 0) })
  }
}
