import CNGrams
import Foundation

extension NGramTree {
  /// Without the n-grams that are marked with 1, by order; nil where none of an order is. What ends with one that is marked is
  /// marked too. Words are never left out.
  public func without(_ marks: [Column<UInt8>?]) -> NGramTree {
    precondition(marks.count == levels.count && marks[0] == nil)
    if marks.allSatisfy({ $0 == nil }) { return self }
    return NGramTree(
      levels.enumerated().map { place, level in
        func kept<Number>(_ column: Column<Number>) -> Column<Number> {
          guard let marks = marks[place], column.count > 0 else { return column }
          let left = Column<Number>(marks.numbers.count { $0 == 0 })
          var next = 0
          for ngram in 0..<column.count where marks[ngram] == 0 {
            left[next] = column[ngram]
            next += 1
          }
          return left
        }
        return Level(
          words: kept(level.words),
          children: Self.children(of: level, marks[place], place + 1 < marks.count ? marks[place + 1] : nil),
          probabilities: kept(level.probabilities), backoffs: kept(level.backoffs))
      })
  }

  /// Where the n-grams of the next level begin that are kept.
  private static func children(of level: Level, _ own: Column<UInt8>?, _ above: Column<UInt8>?) -> Column<UInt32> {
    let old = level.children
    guard old.count > 0, own != nil || above != nil else { return old }
    let left = Column<UInt32>((own.map { $0.numbers.count { $0 == 0 } } ?? level.count) + 1)
    var (next, passed, kept) = (0, 0, UInt32(0))
    func pass(to end: Int) {
      while passed < end {
        kept += above.map { $0[passed] == 0 ? 1 : 0 } ?? 1
        passed += 1
      }
    }
    for ngram in 0..<level.count {
      pass(to: Int(old[ngram]))
      if own.map({ $0[ngram] == 0 }) ?? true {
        left[next] = kept
        next += 1
      }
    }
    pass(to: Int(old[level.count]))
    left[next] = kept
    return left
  }

  /// Without the n-grams whose loss changes the model's distribution by less than a threshold: the relative change of
  /// perplexity, as 1e-8 (A. Stolcke: "Entropy-based pruning of backoff language models", 1998, equation 3). An n-gram that a
  /// kept one begins or ends with is kept. `begin` is the word `<s>`. Backoffs are made anew, so that probabilities sum to 1.
  public func pruned(entropy threshold: Double, begin: UInt32) -> NGramTree {
    let contexts = contexts()
    var marks: [Column<UInt8>?] = levels.map { _ in nil }
    let histories = histories(contexts, begin)
    for place in levels.indices.dropFirst().reversed() {
      let (level, below) = (levels[place], levels[place - 1])
      let (own, parents) = (contexts[place]!, parents(place))
      // What is left for words that were not seen, and what shorter contexts give them.
      let (left, lower) = (Column<Double>(below.count, 1), Column<Double>(below.count, 1))
      for ngram in 0..<level.count {
        let context = Int(own[ngram])
        left[context] -= pow(10, Double(level.probabilities[ngram]))
        lower[context] -= pow(10, Double(below.probabilities[Int(parents[ngram])]))
      }
      let isNeeded = isNeeded(place, contexts, marks)
      let mark = Column<UInt8>(level.count, 0)
      for ngram in 0..<level.count where isNeeded[ngram] == 0 {
        let context = Int(own[ngram])
        let p = pow(10, Double(level.probabilities[ngram]))
        let shorter = pow(10, Double(below.probabilities[Int(parents[ngram])]))
        let (rest, room) = (max(left[context], 0), max(lower[context], 0))
        let backoff = log((rest + p) / (room + shorter))
        let before = Double(below.backoffs[context]) * M_LN10
        var change = p * (log(shorter) + backoff - log(p))
        if rest > 0 { change += rest * (backoff - before) }
        if exp(-exp(histories[place - 1][context]) * change) - 1 < threshold { mark[ngram] = 1 }
      }
      if mark.numbers.contains(1) { marks[place] = mark }
    }
    remakeBackoffs(contexts, marks)
    return without(marks)
  }

  /// For each n-gram the place of its context, all but its last word, in the level below.
  private func contexts() -> [Column<UInt32>?] {
    var all: [Column<UInt32>?] = [nil]
    for place in levels.indices.dropFirst() {
      let (level, below) = (levels[place], levels[place - 1])
      let contexts = Column<UInt32>(level.count)
      for parent in 0..<below.count {
        var low = 0
        var high = 0
        if let grand = all[place - 1], place > 1 {
          low = Int(levels[place - 2].children[Int(grand[parent])])
          high = Int(levels[place - 2].children[Int(grand[parent]) + 1])
        }
        for ngram in Int(below.children[parent])..<Int(below.children[parent + 1]) {
          let word = level.words[ngram]
          if place > 1 { low = ngrams_find(below.words.numbers.baseAddress, low, high, word) }
          contexts[ngram] = place == 1 ? word : UInt32(low)
        }
      }
      all.append(contexts)
    }
    return all
  }

  /// For each n-gram what it ends with, in the level below.
  private func parents(_ place: Int) -> Column<UInt32> {
    let parents = Column<UInt32>(levels[place].count)
    let below = levels[place - 1]
    for parent in 0..<below.count {
      for ngram in Int(below.children[parent])..<Int(below.children[parent + 1]) { parents[ngram] = UInt32(parent) }
    }
    return parents
  }

  /// ln p of each n-gram as a text; `<s>` is certain.
  private func histories(_ contexts: [Column<UInt32>?], _ begin: UInt32) -> [Column<Double>] {
    var all: [Column<Double>] = []
    for place in levels.indices.dropLast() {
      let column = Column<Double>(levels[place].count)
      for ngram in 0..<column.count {
        let own = Double(levels[place].probabilities[ngram]) * M_LN10
        column[ngram] =
          place > 0 ? all[place - 1][Int(contexts[place]![ngram])] + own : ngram == Int(begin) ? 0 : own
      }
      all.append(column)
    }
    return all
  }

  /// 1 for each n-gram that one of the next order, which is kept, begins or ends with.
  private func isNeeded(_ place: Int, _ contexts: [Column<UInt32>?], _ marks: [Column<UInt8>?]) -> Column<UInt8> {
    let needed = Column<UInt8>(levels[place].count, 0)
    guard place + 1 < levels.count else { return needed }
    let parents = parents(place + 1)
    for longer in 0..<levels[place + 1].count where marks[place + 1].map({ $0[longer] == 0 }) ?? true {
      needed[Int(parents[longer])] = 1
      needed[Int(contexts[place + 1]![longer])] = 1
    }
    return needed
  }

  /// Of contexts that have lost a word.
  private func remakeBackoffs(_ contexts: [Column<UInt32>?], _ marks: [Column<UInt8>?]) {
    for place in levels.indices.dropFirst() {
      guard let mark = marks[place] else { continue }
      let (level, below) = (levels[place], levels[place - 1])
      let (own, parents) = (contexts[place]!, parents(place))
      let (left, lower) = (Column<Double>(below.count, 1), Column<Double>(below.count, 1))
      let hasLost = Column<UInt8>(below.count, 0)
      for ngram in 0..<level.count {
        let context = Int(own[ngram])
        if mark[ngram] == 1 {
          hasLost[context] = 1
        } else {
          left[context] -= pow(10, Double(level.probabilities[ngram]))
          lower[context] -= pow(10, Double(below.probabilities[Int(parents[ngram])]))
        }
      }
      for context in 0..<below.count where hasLost[context] == 1 {
        below.backoffs[context] = Float(log10(max(left[context], 0) / lower[context]))
      }
    }
  }
}
