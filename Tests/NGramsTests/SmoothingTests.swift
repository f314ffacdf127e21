import Corpus
import Foundation
import NGramModels
import Testing

@testable import NGrams

@Suite struct SmoothingTests {
  /// Sentences of a few words, some often: a text with counts of all kinds.
  private static func sentences(_ count: Int, words: Int, seed: UInt64) -> [[Int]] {
    var state = seed
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(limit))
    }
    // The end of a line is word 1. Small numbers are likelier; the last word is never used.
    return (0..<count).map { _ in (0..<next(9)).map { _ in 2 + min(next(words - 3), next(words - 3)) } + [1] }
  }

  private static func model(
    _ sentences: [[Int]], words: Int, _ settings: NGramSettings, buffer: Int = 1 << 20
  ) throws -> (NGramModel, NGramEstimator) {
    let format = NGramKeys(order: settings.order, vocabularySize: words)
    let counter = NGramCounter(format, lineEnd: 1, buffer: buffer)
    sentences.joined().map(Int32.init).withUnsafeBufferPointer { counter.add($0) }
    let levels = try counter.levels(continuation: settings.smoothing.countsContinuations)
    let estimator = NGramEstimator(levels, settings)
    let vocabulary = try Vocabulary(kind: .words, entries: ["<unk>", "<eos>"] + (2..<words).map { "w\($0)" })
    let model = try NGramModel(
      estimator.tree, vocabulary, NGramMetadata(order: settings.order, tokenizer: .words))
    return (model, estimator)
  }

  static let all: [NGramSettings] = SmoothingKind.allCases.flatMap { kind in
    (kind.canChoose ? [true, false] : [true]).flatMap { interpolates in
      (1...4).map { order in
        var settings = NGramSettings()
        (settings.order, settings.smoothing, settings.interpolates) = (order, kind, interpolates)
        settings.delta = 0.3
        return settings
      }
    }
  }

  /// With n-grams left out.
  static let pruned: [NGramSettings] = all.filter { $0.order == 3 && $0.smoothing != .stupidBackoff }.flatMap {
    settings in
    [[0, 0, 1], [0, 1, 2]].map { prune in
      var settings = settings
      settings.prune = prune
      return settings
    }
  }

  /// Every word after contexts of all kinds, seen and unseen, against the formulas.
  @Test(arguments: all + pruned) func probabilitiesAreThoseOfTheFormulas(settings: NGramSettings) throws {
    let words = 24
    let sentences = Self.sentences(220, words: words, seed: 7)
    let (model, estimator) = try Self.model(sentences, words: words, settings)
    let reference = NGramReference(sentences, vocabularySize: words, settings, discounts: estimator.discounts)
    let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: words)
    defer { output.deallocate() }
    var contexts: [[Int]] = [[], [-1], [23], [23, 2], [2, 23]]
    for sentence in sentences.prefix(15) {
      let text = [-1] + sentence.dropLast()
      for end in text.indices { contexts.append(Array(text[...end])) }
    }
    for context in contexts {
      var state = context.first == -1 ? model.sentence : NGramModel.State()
      for word in context where word >= 0 { _ = model.score(Int32(word), after: &state) }
      model.distribution(after: state, into: output)
      var sum = 0.0
      for word in 0..<words {
        let expected = reference.p(word, after: context)
        let found = pow(10, Double(output[word]))
        sum += found
        #expect(
          abs(found - expected) < 1e-6 * max(expected, 1e-2), "\(settings) \(context) \(word): \(found) \(expected)")
      }
      if settings.smoothing != .stupidBackoff { #expect(abs(sum - 1) < 1e-6, "\(settings) \(context): \(sum)") }
    }
  }

  /// What is sorted in pieces and merged is what is sorted at once.
  @Test(arguments: [1, 7, 100]) func sizesOfBuffersChangeNothing(buffer: Int) throws {
    var settings = NGramSettings()
    settings.order = 4
    let sentences = Self.sentences(100, words: 12, seed: 3)
    func bytes(_ buffer: Int) throws -> [Float] {
      let (model, _) = try Self.model(sentences, words: 12, settings, buffer: buffer)
      var numbers: [Float] = []
      for order in 1...4 {
        model.forEach(order: order) { words, probability, backoff in
          numbers += words.map { Float($0) } + [probability, backoff ?? 0]
        }
      }
      return numbers
    }
    #expect(try bytes(buffer) == bytes(1 << 20))
  }

  /// Texts whose discounts cannot be computed give models, and say what was done.
  @Test(arguments: [
    [[2, 3, 4, 1]], [[Int]](repeating: [2, 3, 4, 1], count: 1000), [[1]], [[2, 1], [3, 1]],
  ]) func smallTextsAreNoErrors(sentences: [[Int]]) throws {
    for var settings in Self.all where settings.smoothing != .stupidBackoff {
      settings.order = 5
      let (model, estimator) = try Self.model(sentences, words: 8, settings)
      #expect(model.checkSums(contexts: 100).largestError < 1e-6, "\(settings)")
      if settings.smoothing == .modifiedKneserNey {
        #expect(estimator.discounts.contains { $0.warning?.contains("discounts cannot be computed") ?? false })
      }
    }
  }

  @Test func keysHoldWordsOfAnyNumber() throws {
    // Order 10 of large vocabularies needs several machine words, with words across their borders.
    for words in [8, 250, 70_000, 3_000_000] {
      var settings = NGramSettings()
      settings.order = 10
      let sentence = (0..<30).map { 2 + ($0 * 7919) % (words - 3) } + [1]
      let format = NGramKeys(order: 10, vocabularySize: words)
      let counter = NGramCounter(format, lineEnd: 1, buffer: 8)
      sentence.map(Int32.init).withUnsafeBufferPointer { counter.add($0) }
      let levels = try counter.levels(continuation: false)
      let reference = NGramReference([sentence], vocabularySize: words, settings, discounts: [])
      #expect(levels.levels.map { $0.counts.numbers.filter { $0 > 0 }.count } == reference.different)
    }
  }

  /// Each n-gram that is left out alone changes the model by less than the threshold, as the distributions say; each that is
  /// kept, and that nothing longer needs, by more.
  @Test(arguments: [1e-4, 1e-3, 3e-3]) func entropyDecides(threshold: Double) throws {
    let words = 14
    let sentences = Self.sentences(150, words: words, seed: 11)
    var settings = NGramSettings()
    settings.order = 3
    let (whole, _) = try Self.model(sentences, words: words, settings)
    settings.pruneEntropy = threshold
    let (pruned, _) = try Self.model(sentences, words: words, settings)
    #expect(pruned.checkSums(contexts: 1000).largestError < 1e-6)
    func ngrams(_ model: NGramModel, _ order: Int) -> Set<[UInt32]> {
      var all: Set<[UInt32]> = []
      model.forEach(order: order) { words, _, _ in all.insert(Array(words)) }
      return all
    }
    let (before, after) = (ngrams(whole, 3), ngrams(pruned, 3))
    #expect(after.isSubset(of: before) && after.count < before.count && after.count > 0)
    let begin = UInt32(words + 1)
    func distribution(_ context: [UInt32]) -> [Double] {
      var state = context.first == begin ? whole.sentence : NGramModel.State()
      for word in context where word != begin { _ = whole.score(Int32(word) - 1, after: &state) }
      let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: words)
      defer { output.deallocate() }
      whole.distribution(after: state, into: output)
      return output.map { pow(10, Double($0)) }
    }
    for ngram in before {
      let context = Array(ngram.dropLast())
      let (p, shorter) = (distribution(context), distribution(Array(context.dropFirst())))
      // The same context without this word: what is not seen shares what is left.
      let seen = before.filter { $0.dropLast() == context[...] && $0 != ngram }.map { Int($0[2]) - 1 }
      let scale = (1 - seen.reduce(0) { $0 + p[$1] }) / (1 - seen.reduce(0) { $0 + shorter[$1] })
      let other = p.indices.map { seen.contains($0) ? p[$0] : scale * shorter[$0] }
      let divergence = zip(p, other).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
      let first = context[0] == begin ? 1 : distribution([])[Int(context[0]) - 1]
      let history = first * distribution([context[0]])[Int(context[1]) - 1]
      let change = exp(history * divergence) - 1
      if abs(change - threshold) > 1e-3 * threshold {
        #expect(after.contains(ngram) == (change >= threshold), "\(ngram): \(change)")
      }
    }
  }
}
