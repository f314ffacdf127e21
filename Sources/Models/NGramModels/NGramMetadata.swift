import Corpus

/// What is said of an n-gram model beside its numbers.
public struct NGramMetadata: Codable, Equatable, Sendable {
  public var order: Int
  public var tokenizer: TokenizerKind
  /// How probabilities were smoothed, for people; empty where that is not known.
  public var smoothing: String
  /// By order, what was taken from counts of 1, 2 and so on; empty where that is not known.
  public var discounts: [[Double]]
  /// What could not be computed of the text, and what was done.
  public var warnings: [String]
  /// Sentences and tokens that were counted; 0 where that is not known.
  public var sentences: Int
  public var tokens: Int

  public init(
    order: Int, tokenizer: TokenizerKind, smoothing: String = "", discounts: [[Double]] = [], warnings: [String] = [],
    sentences: Int = 0, tokens: Int = 0
  ) {
    self.order = order
    self.tokenizer = tokenizer
    self.smoothing = smoothing
    self.discounts = discounts
    self.warnings = warnings
    self.sentences = sentences
    self.tokens = tokens
  }
}
