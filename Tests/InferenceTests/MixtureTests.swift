import Checkpoints
import Corpus
import Files
import Foundation
import NGramModels
import Networks
import TestSupport
import Testing
import Training

@testable import Inference

@Suite struct MixtureTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let arpa = """
    \\data\\
    ngram 1=5
    ngram 2=3

    \\1-grams:
    -1.5 </s>
    -99 <s> -0.5
    -0.7 a -0.25
    -0.9 b -0.1
    -2 <unk>

    \\2-grams:
    -0.3 <s> a
    -0.6 a b
    -0.4 b </s>

    \\end\\
    """

  private func ngrams(_ name: String = "a.arpa", _ text: String = arpa) throws -> SavedModel {
    try SavedModel(folder.write(name, text)) { _ in }
  }

  /// A network of the vocabulary <unk>, <eos>, a, b.
  private func network() throws -> SavedModel {
    var run = RunConfiguration()
    run.corpus.text = ["a.txt"]
    run.model = ModelConfiguration(embeddingSize: 4, hiddenSizes: [5])
    run.model.initialization = Initialization(kind: .uniform, range: 0.8)
    let card = ModelMetadata(
      configuration: run, vocabulary: try Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "a", "b"]),
      progress: TrainingProgress(), results: RunResults(), corpus: CorpusIdentity(),
      provenance: Provenance(program: "0", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 1))
    let parameters = try Parameters(card.parameterLayout)
    parameters.initialize(seed: 3)
    try TrainedModel(card: card, parameters: parameters).save(to: folder.file("network.h5"), precision: .single)
    return try SavedModel(folder.file("network.h5")) { _ in }
  }

  private func text(_ text: String = "a b\nb a a\n\na b c a\n") throws -> InputFile {
    try InputFile(folder.write("text.txt", text))
  }

  private func losses(_ model: SavedModel) throws -> [Int: Double] {
    var losses: [Int: Double] = [:]
    _ = try model.evaluate(text(), lanes: 1, each: { losses[$0.place] = $0.loss })
    return losses
  }

  /// Probabilities are added, token by token, of a network and n-grams; the first token, which a network only reads, is left out.
  @Test func probabilitiesAreAdded() throws {
    let (one, other) = (try network(), try ngrams())
    let mixed = SavedModel(
      try Mixture([Mixture.Component(one, weight: 3), Mixture.Component(other, weight: 1)]), path: "mixed")
    let (a, b, both) = (try losses(one), try losses(other), try losses(mixed))
    #expect(b[0] != nil && a[0] == nil && both.keys.sorted() == a.keys.sorted() && both.count == 12)
    for (place, loss) in both {
      let expected = 0.75 * exp(-a[place]!) + 0.25 * exp(-b[place]!)
      #expect(abs(exp(-loss) - expected) < 1e-9)
    }
  }

  /// The share of a token among the newest, by hand; the first token finds none and leaves the share to the model.
  @Test func aCacheKnowsTheNewest() throws {
    let model = try ngrams()
    let cached = SavedModel(
      try Mixture([Mixture.Component(model, weight: 0.6)], cache: Mixture.Cache(size: 3, weight: 0.4)), path: "cached")
    let (alone, both) = (try losses(model), try losses(cached))
    // a b / b a a / / a b <unk> a, with the ends of lines.
    let tokens = [2, 3, 1, 3, 2, 2, 1, 1, 2, 3, 0, 2, 1]
    for (place, token) in tokens.enumerated() {
      let newest = tokens[max(0, place - 3)..<place]
      let share = newest.isEmpty ? nil : Double(newest.count { $0 == token }) / Double(newest.count)
      let expected = share.map { 0.6 * exp(-alone[place]!) + 0.4 * $0 } ?? exp(-alone[place]!)
      #expect(abs(exp(-both[place]!) - expected) < 1e-9, "\(place)")
    }
  }

  /// As a text is written, scored and evaluated, a mixture says the same.
  @Test func whatIsWrittenIsWhatIsScored() throws {
    // Of probabilities that sum to 1: text is drawn from what does.
    let words = try ngrams(
      "words.arpa",
      """
      \\data\\
      ngram 1=5

      \\1-grams:
      -0.30103 </s>
      -99 <s>
      -0.60206 a
      -0.90309 b
      -0.90309 <unk>

      \\end\\
      """)
    let mixture = try Mixture(
      [Mixture.Component(network(), weight: 0.5), Mixture.Component(words, weight: 0.3)],
      cache: Mixture.Cache(size: 4, weight: 0.2))
    let predictor = try MixturePredictor(mixture)
    let texts: [[Int32]] = [[1, 2, 3, 2, 2, 0, 1], [1, 3]]
    for (text, losses) in zip(texts, try predictor.losses(of: texts)) {
      let context = try predictor.makeContext()
      try predictor.advance(context, by: text[0])
      for (token, loss) in zip(text.dropFirst(), losses) {
        let copy = try predictor.copy(of: context)
        let logits = try predictor.logits(after: copy).map { exp(Double($0)) }
        #expect(abs(logits[Int(token)] / logits.reduce(0, +) - exp(-loss)) < 1e-6)
        try predictor.advance(context, by: token)
      }
    }
  }

  /// Weights found are better than any near them, and read back from the file.
  @Test func weightsAreTheBest() throws {
    let start = try Mixture(
      [Mixture.Component(network(), weight: 1), Mixture.Component(ngrams(), weight: 1)],
      cache: Mixture.Cache(size: 5, weight: 0.5))
    func perplexity(_ weights: [Double]) throws -> Double {
      var mixture = start
      mixture.weights = weights
      return try SavedModel(mixture, path: "mixed").evaluate(text(), lanes: 1).evaluation.perplexity
    }
    let tuned = try SavedModel(start, path: "mixed").tuned(on: text())
    let weights = tuned.mixture.weights
    #expect(abs(weights.reduce(0, +) - 1) < 1e-4)
    let best = try perplexity(weights)
    #expect(abs(best - tuned.perplexity) < 1e-3 * best)
    for place in weights.indices {
      for change in [-0.05, 0.05] where weights[place] + change > 0 && weights[place] + change < 1 {
        let scale = (1 - weights[place] - change) / (1 - weights[place])
        let others = weights.enumerated().map { $0 == place ? $1 + change : $1 * scale }
        #expect(try perplexity(others) >= best - 1e-5, "\(place) \(change)")
      }
    }
    try MixtureFile.write(tuned.mixture, to: folder.file("mixed.yaml"))
    let again = try SavedModel(folder.file("mixed.yaml")) { _ in }
    guard case .mixture(let mixture) = again.contents else {
      Issue.record("not a mixture")
      return
    }
    for (one, other) in zip(mixture.weights, weights) { #expect(abs(one - other) < 1e-5) }
    #expect(abs(try again.evaluate(text(), lanes: 1).evaluation.perplexity - best) < 1e-4)
  }

  @Test func vocabulariesThatDifferAreRefused() throws {
    let own = try ngrams()
    let other = try ngrams("b.arpa", Self.arpa.replacing(" b", with: " c"))
    let larger = try ngrams(
      "c.arpa",
      Self.arpa.replacing("ngram 1=5", with: "ngram 1=6").replacing("-2 <unk>", with: "-2 <unk>\n-3 c"))
    for (model, problem) in [(other, "'b' in one and 'c' in the other"), (larger, "one has 4 tokens, the other 5")] {
      expectError(problem) {
        _ = try Mixture([Mixture.Component(own, weight: 1), Mixture.Component(model, weight: 1)])
      }
    }
  }

  @Test func filesThatAreNoMixturesAreNamed() throws {
    _ = try ngrams()
    for (text, problem) in [
      ("", "without the key mixture"), ("name: small\n", "a run's configuration is no model"),
      ("mixture: 3\n", "found other keys or values"), ("mixture: []\n", "1 to 64 models"),
      ("mixture:\n- {model: a.arpa, weight: 0}\n", "weights above 0"),
      ("mixture:\n- {model: a.arpa, weight: .nan}\n", "weights above 0"),
      ("mixture:\n- {model: a.arpa, weight: 1}\ncache: {size: 0, weight: 0.1}\n", "a cache of 1 token or more"),
      ("mixture:\n- {model: mixed.yaml, weight: 1}\n", "name the models that it has"),
      ("mixture:\n- {model: missing.arpa, weight: 1}\n", "missing.arpa"), ("mixture: [\n", "this is not YAML"),
    ] {
      let path = try folder.write("mixed.yaml", text)
      expectError(problem) { _ = try SavedModel(path) { _ in } }
    }
  }
}
