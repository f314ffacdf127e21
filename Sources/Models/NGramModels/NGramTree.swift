/// The n-grams of a model with their numbers, as they are estimated or read, before they become a model.
///
/// A word is the number of its token and 1; 0 stands for no word, and the number after the last token for `<s>`. The n-grams of
/// an order are sorted backward: below an n-gram stand those that are longer by one word before it, by the number of that word.
public struct NGramTree {
  public struct Level {
    /// The first word of each n-gram. Level 1, which has an n-gram for each word in turn, has none.
    public let words: Column<UInt32>
    /// Where the n-grams of the next level begin that end with each, and one more. The last level has none.
    public let children: Column<UInt32>
    /// log10 p of the last word after those before.
    public let probabilities: Column<Float>
    /// log10 of what p after a shorter context is multiplied by, where a word was not seen after this n-gram. The last level
    /// has none.
    public let backoffs: Column<Float>

    public init(
      words: Column<UInt32>, children: Column<UInt32>, probabilities: Column<Float>, backoffs: Column<Float>
    ) {
      self.words = words
      self.children = children
      self.probabilities = probabilities
      self.backoffs = backoffs
    }

    public var count: Int { probabilities.count }
  }

  /// log10 of 0, as ARPA files have it.
  public static let logZero: Float = -99

  public var levels: [Level]
  public init(_ levels: [Level]) { self.levels = levels }
}
