/// The newest tokens of a text, and how often each is among them: what was said is soon said again (R. Kuhn and R. De Mori: "A
/// cache-based natural language model for speech recognition", 1990).
struct TokenCache {
  private let size: Int
  private var tokens: [Int32] = []
  /// Where the oldest stands, once all places are taken.
  private var oldest = 0
  private(set) var counts: [Int32: Int] = [:]

  /// Of `size` tokens, at least one.
  init(size: Int) {
    precondition(size > 0)
    self.size = size
  }

  var count: Int { tokens.count }

  /// Share of a token among them; nil while there are none.
  func p(_ token: Int32) -> Double? {
    tokens.isEmpty ? nil : Double(counts[token] ?? 0) / Double(tokens.count)
  }

  mutating func add(_ token: Int32) {
    if tokens.count < size {
      tokens.append(token)
    } else {
      let last = tokens[oldest]
      counts[last] = counts[last]! > 1 ? counts[last]! - 1 : nil
      tokens[oldest] = token
      oldest = (oldest + 1) % size
    }
    counts[token, default: 0] += 1
  }
}
