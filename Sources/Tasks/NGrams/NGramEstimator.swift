import CNGrams
import Glibc
import NGramModels

/// How a model is estimated.
public struct NGramSettings: Equatable, Sendable {
  public var order = 3
  public var smoothing = SmoothingKind.modifiedKneserNey
  /// Whether what is kept for unseen words is given to seen ones too.
  public var interpolates = true
  /// What add-delta adds.
  public var delta = 1.0
  /// By order from the first on: n-grams that stand so often in the text, or less, are left out of the model; the last holds
  /// for all higher orders. Words are never left out.
  public var prune: [Int] = []
  /// N-grams without which perplexity would change by less than this share are left out; 0: none.
  public var pruneEntropy = 0.0
  /// Scores of `stupidBackoff` are lowered by this.
  static let stupidFactor = 0.4

  public init() {}

  /// For people.
  public var summary: String {
    let kind =
      switch smoothing {
      case .addDelta: "\(smoothing.rawValue) \(delta)"
      case _ where smoothing.canChoose: smoothing.rawValue + (interpolates ? ", interpolated" : ", backed off")
      default: smoothing.rawValue
      }
    return kind + (pruneEntropy > 0 ? ", entropy \(pruneEntropy)" : "")
      + (prune.contains { $0 > 0 } ? ", pruned \(prune.map(String.init).joined(separator: " "))" : "")
  }

  /// Of an order.
  func threshold(_ order: Int) -> Int { order == 1 || prune.isEmpty ? 0 : prune[min(order, prune.count) - 1] }
}

/// Turns counts into probabilities. From the shortest n-grams to the longest, p(w | h) = d(hw) + kept(h) p(w | h'), where
/// h' is the context without its first word; or, where a model backs off, d(hw) alone for what was seen.
///
/// What adds up over n-grams is added as whole numbers, so that the order of the n-grams does not matter.
final class NGramEstimator {
  let counts: NGramLevels
  let settings: NGramSettings
  let discounts: [Discounts]
  /// p of each n-gram, by order.
  private(set) var probabilities: [Column<Float>] = []
  /// What p after a shorter context is multiplied by, for each n-gram that is not of the highest order.
  private(set) var backoffs: [Column<Float>] = []

  /// By order, 1 for each n-gram that is left out; nil where none is.
  private let pruned: [Column<UInt8>?]

  /// A power of two, so small that it adds no error to speak of; 2^23 discounts of 3 have room.
  private static let discountUnit = 0x1p-36
  private static let lowerUnit = 0x1p-60

  init(_ counts: NGramLevels, _ settings: NGramSettings) {
    self.counts = counts
    self.settings = settings
    let found = counts.countsOfCounts(upTo: Discounts.countsOfCounts)
    pruned = counts.marks { settings.threshold($0) }
    discounts = found.enumerated().map { Discounts(settings.smoothing, order: $0 + 1, found: $1) }
    estimateWords()
    var contexts: Column<UInt32>?
    for place in counts.levels.indices.dropFirst() { contexts = estimate(place, contexts) }
  }

  /// All words but `<s>`.
  private var vocabularySize: Int { counts.format.vocabularySize }
  private var interpolates: Bool {
    (settings.interpolates || settings.smoothing == .addDelta) && settings.smoothing.canInterpolate
  }

  /// What becomes of the counts after one context.
  private struct Rule {
    /// What a count, but for what is taken from it, is multiplied by.
    var factor: Double
    /// What goes to the words that were not seen; where a model interpolates, to all.
    var kept: Double
    /// What p after a shorter context is multiplied by where a word was not seen.
    var backoff: Double
  }

  /// Of a context after which something was seen. `isFull` says whether no longer one is ever used.
  private func rule(_ sums: ngrams_sums, isFull: Bool) -> Rule {
    let count = Double(sums.count)
    let discount = Double(sums.discount) * Self.discountUnit
    switch settings.smoothing {
    case .stupidBackoff: return Rule(factor: 1 / count, kept: 0, backoff: NGramSettings.stupidFactor)
    case .addDelta:
      // Shorter contexts know nothing: below them all words are alike.
      guard isFull else { return Rule(factor: 0, kept: 1, backoff: 1) }
      let added = settings.delta * Double(vocabularySize)
      let kept = (added + discount) / (count + added)
      return Rule(factor: 1 / (count + added), kept: kept, backoff: kept)
    case .none, .wittenBell, .katz, .absoluteDiscounting, .kneserNey, .modifiedKneserNey:
      // Where nothing is taken from any count, as much is kept as by Witten and Bell.
      let widens = settings.smoothing == .wittenBell || settings.smoothing != .none && discount == 0
      let added = widens ? Double(sums.types) : 0
      let total = count + added
      let kept = (added + discount) / total
      if interpolates { return Rule(factor: 1 / total, kept: kept, backoff: kept) }
      // Where all words were seen, what was taken goes back to them.
      if Int(sums.kept) == vocabularySize { return Rule(factor: 1 / total / (1 - kept), kept: 0, backoff: 0) }
      let unseen = 1 - Double(sums.lower) * Self.lowerUnit
      return Rule(factor: 1 / total, kept: 0, backoff: kept / max(unseen, Double(Float.ulpOfOne)))
    }
  }

  /// What is taken from a count of 1, 2 and so on. Of Witten and Bell nothing is: they add to what counts are divided by.
  private func taken(_ order: Int) -> [Double] {
    settings.smoothing == .wittenBell ? [0] : discounts[order - 1].values
  }

  /// The words: below them all are alike.
  private func estimateWords() {
    let level = counts.levels[0]
    let own = Discounts(values: taken(1))
    let seen = level.counts.numbers.filter { $0 > 0 }
    let uniform = 1 / Double(vocabularySize)
    let sums = ngrams_sums(
      count: seen.reduce(0) { $0 + UInt64($1) },
      discount: seen.reduce(0) { $0 + UInt64((own.of($1) / Self.discountUnit).rounded()) },
      lower: UInt64(Double(seen.count) * uniform / Self.lowerUnit), types: UInt32(seen.count), kept: UInt32(seen.count))
    var rule = rule(sums, isFull: counts.format.order == 1)
    let p = Column<Float>(level.count, 0)
    if !interpolates, settings.smoothing.discounts { rule.kept = rule.backoff }
    for word in 1...vocabularySize {
      let count = level.counts[word]
      let share = (Double(count) - own.of(count)) * rule.factor
      p[word] = Float(share + (interpolates || count == 0 ? rule.kept * uniform : 0))
    }
    probabilities = [p]
    backoffs = [Column(level.count, 1)]
  }

  /// One order from the second on. Takes and returns the contexts of its n-grams: for each its place in the level below.
  private func estimate(_ place: Int, _ contextsBelow: Column<UInt32>?) -> Column<UInt32> {
    let order = place + 1
    let (level, below) = (counts.levels[place], counts.levels[place - 1])
    var (levelView, belowView) = (level.view, below.view)
    var grandView = place > 1 ? counts.levels[place - 2].view : ngrams_level()
    let lower = probabilities[place - 1]
    let contexts = Column<UInt32>(level.count)
    let sums = Column<ngrams_sums>(below.count, ngrams_sums())
    let taken = taken(order)
    ngrams_add_to_contexts(
      &levelView, &belowView, &grandView, contextsBelow?.numbers.baseAddress, lower.numbers.baseAddress,
      taken.map { UInt64(($0 / Self.discountUnit).rounded()) }, taken.count, UInt64(1 / Self.discountUnit),
      pruned[place]?.numbers.baseAddress, contexts.numbers.baseAddress, sums.numbers.baseAddress)

    let isLast = order == counts.format.order
    let begin = UInt32(counts.format.begin)
    let rules = Column<ngrams_rule>(below.count, ngrams_rule(factor: 0, kept: 1))
    let backoffs = backoffs[place - 1]
    for context in 0..<below.count where sums[context].count > 0 {
      let isFull = isLast || (place == 1 ? context == counts.format.begin : below.words[context] == begin)
      let rule = rule(sums[context], isFull: isFull)
      rules[context] = ngrams_rule(factor: rule.factor, kept: rule.kept)
      backoffs[context] = Float(rule.backoff)
    }
    let p = Column<Float>(level.count)
    ngrams_estimate(
      &levelView, &belowView, lower.numbers.baseAddress, taken, taken.count, contexts.numbers.baseAddress,
      rules.numbers.baseAddress, p.numbers.baseAddress)
    probabilities.append(p)
    if !isLast { self.backoffs.append(Column(level.count, 1)) }
    return contexts
  }

  /// The model's numbers, without what is left out. log10 of 0 is -99, as in ARPA files.
  var tree: NGramTree {
    let whole = NGramTree(
      counts.levels.indices.map { place in
        let level = counts.levels[place]
        return NGramTree.Level(
          words: level.words, children: level.children, probabilities: Self.log10(probabilities[place]),
          backoffs: place < backoffs.count ? Self.log10(backoffs[place]) : Column(0))
      })
    let left = whole.without(pruned)
    return settings.pruneEntropy > 0
      ? left.pruned(entropy: settings.pruneEntropy, begin: UInt32(counts.format.begin)) : left
  }

  private static func log10(_ numbers: Column<Float>) -> Column<Float> {
    let logarithms = Column<Float>(numbers.count)
    for place in 0..<numbers.count {
      let number = numbers[place]
      logarithms[place] = number > 0 ? Float(Glibc.log10(Double(number))) : NGramTree.logZero
    }
    return logarithms
  }
}
