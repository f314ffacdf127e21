@testable import Corpus

/// Sums over all derivations of a line under `SampleGrammar`: the inside algorithm, from the top down.
/// Knows nothing of how lines are made.
struct GrammarParser {
  /// All ways in which a symbol becomes the words up to `end`.
  struct Span: Equatable {
    var end: Int
    var probability: Double
    var derivations: Int
  }

  private struct Key: Hashable {
    var symbol: SampleGrammar.Symbol
    var start: Int
  }

  private let words: [String]
  private var known: [Key: [Span]] = [:]

  init(_ words: [String]) { self.words = words }

  /// The derivations of the whole line.
  mutating func parse() -> Span {
    let whole = spans(SampleGrammar.start, from: 0).first { $0.end == words.count }
    return whole ?? Span(end: words.count, probability: 0, derivations: 0)
  }

  private mutating func spans(_ symbol: SampleGrammar.Symbol, from start: Int) -> [Span] {
    if case .word(let word) = symbol {
      let matches = start < words.count && words[start] == word
      return matches ? [Span(end: start + 1, probability: 1, derivations: 1)] : []
    }
    let key = Key(symbol: symbol, start: start)
    if let spans = known[key] { return spans }
    let choices = SampleGrammar.choices(symbol)
    let total = choices.reduce(0) { $0 + $1.weight }
    var byEnd: [Int: Span] = [:]
    for choice in choices where choice.weight > 0 {
      var ways = [Span(end: start, probability: choice.weight / total, derivations: 1)]
      for symbol in choice.symbols {
        ways = ways.flatMap { way in
          spans(symbol, from: way.end).map {
            Span(
              end: $0.end, probability: way.probability * $0.probability,
              derivations: way.derivations * $0.derivations)
          }
        }
      }
      for way in ways {
        byEnd[way.end, default: Span(end: way.end, probability: 0, derivations: 0)].probability +=
          way.probability
        byEnd[way.end]?.derivations += way.derivations
      }
    }
    known[key] = Array(byEnd.values)
    return Array(byEnd.values)
  }
}
