import Corpus
import NGramModels

/// Makes a model of a text: counts its n-grams, and turns the counts into probabilities.
public enum NGramTraining {
  /// What is under way.
  public enum Phase: String, Sendable {
    case counting, joining, estimating
  }

  /// Of the training text of a corpus. `progress` is told the phase and how much of it is done of how much, and may throw to
  /// end it. Throws `NGramError`, and `CorpusError` for tokens that cannot be read.
  public static func model(
    of corpus: PreparedCorpus, _ settings: NGramSettings,
    progress: (_ phase: Phase, _ done: Int, _ total: Int) throws -> Void = { _, _, _ in }
  ) throws -> NGramModel {
    let (text, vocabulary) = (corpus.part(.train), corpus.vocabulary)
    try requireNoMarks(vocabulary)
    let format = NGramKeys(order: settings.order, vocabularySize: vocabulary.count)
    let counter = NGramCounter(format, lineEnd: vocabulary.lineEnd, buffer: bufferedTokens)
    let piece = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 1 << 16)
    defer { piece.deallocate() }
    for start in stride(from: 0, to: text.count, by: piece.count) {
      let end = min(start + piece.count, text.count)
      try text.copy(start..<end, into: piece)
      counter.add(UnsafeBufferPointer(rebasing: piece[..<(end - start)]))
      try progress(.counting, end, text.count)
    }
    try progress(.joining, 0, 1)
    let levels = try counter.levels(continuation: settings.smoothing.countsContinuations)
    try progress(.estimating, 0, 1)
    let estimator = NGramEstimator(levels, settings)
    return try NGramModel(
      estimator.tree, vocabulary,
      NGramMetadata(
        order: settings.order, tokenizer: vocabulary.kind, smoothing: settings.summary,
        discounts: estimator.discounts.map(\.values), warnings: estimator.discounts.compactMap(\.warning),
        sentences: counter.sentences, tokens: counter.tokens))
  }

  /// Tokens that are read between sorts.
  private static let bufferedTokens = 1 << 22

  /// What stands for the beginning and the end of a sentence can be no word of one.
  private static func requireNoMarks(_ vocabulary: Vocabulary) throws {
    guard vocabulary.kind == .words else { return }
    for mark in ["<s>", "</s>"] where vocabulary.id(of: mark.utf8) != nil {
      throw NGramError.mark(mark)
    }
  }
}
