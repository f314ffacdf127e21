import CNGrams

/// How the n-grams of a text are packed into numbers (see ngrams.h). The word of token t is t + 1, and after the words of the
/// tokens comes the one that a sentence begins after.
public struct NGramKeys: Equatable, Sendable {
  public static let orders = 1...Int(NGRAMS_MOST_ORDER)

  public let order: Int
  /// Tokens of the vocabulary.
  public let vocabularySize: Int
  /// Of a word.
  let bits: Int
  /// 64-bit words of a key.
  let width: Int

  /// Traps for another order than `orders`.
  public init(order: Int, vocabularySize: Int) {
    precondition(Self.orders.contains(order) && vocabularySize > 0 && vocabularySize < Int32.max)
    self.order = order
    self.vocabularySize = vocabularySize
    bits = UInt32.bitWidth - UInt32(vocabularySize + 1).leadingZeroBitCount
    width = (order * bits + 63) / 64
  }

  /// `<s>`, which stands before a sentence and is never predicted.
  var begin: Int { vocabularySize + 1 }
  /// Of words, with 0, which stands for none.
  var words: Int { vocabularySize + 2 }
}
