/// An interpolated trigram model (Witten and Bell 1991): each order backs off to the one below with the mass
/// of the word types seen after its history. What a model reaches that remembers two words.
struct TrigramModel {
  private struct History: Hashable {
    var first: Int32
    var second: Int32
  }
  private struct Followers {
    var total = 0
    var counts: [Int32: Int] = [:]
  }
  private static let none: Int32 = -1

  private let vocabularySize: Int
  private var followers: [History: Followers] = [:]

  init(training tokens: [Int32], vocabularySize: Int) {
    self.vocabularySize = vocabularySize
    for index in tokens.indices {
      for history in TrigramModel.histories(tokens, before: index) {
        followers[history, default: Followers()].total += 1
        followers[history, default: Followers()].counts[tokens[index], default: 0] += 1
      }
    }
  }

  /// The histories of no, one and two tokens before a place.
  private static func histories(_ tokens: [Int32], before index: Int) -> [History] {
    let second = index > 0 ? tokens[index - 1] : none
    let first = index > 1 ? tokens[index - 2] : none
    return [
      History(first: none, second: none), History(first: none, second: second),
      History(first: first, second: second),
    ]
  }

  /// Negative log likelihood of a text, in nats.
  func nats(of tokens: [Int32], log: (Double) -> Double) -> Double {
    var sum = 0.0
    for index in tokens.indices {
      var probability = 1 / Double(vocabularySize)
      for history in TrigramModel.histories(tokens, before: index) {
        guard let seen = followers[history] else { continue }
        let types = Double(seen.counts.count)
        let count = Double(seen.counts[tokens[index]] ?? 0)
        probability = (count + types * probability) / (Double(seen.total) + types)
      }
      sum -= log(probability)
    }
    return sum
  }
}
