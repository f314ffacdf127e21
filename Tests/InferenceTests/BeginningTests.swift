import Checkpoints
import Corpus
import Foundation
import Networks
import TestSupport
import Testing
import Training

@testable import Inference

/// A text begins after the end of a line, whether it is scored, completed or written.
@Suite struct BeginningTests {
  /// An untrained model of each kind: it knows its tokens apart.
  private static func model(_ vocabulary: Vocabulary) throws -> SavedModel {
    let folder = try TemporaryFolder()
    var configuration = RunConfiguration()
    configuration.corpus.text = ["a.txt"]
    configuration.corpus.tokenizer = vocabulary.kind
    configuration.model = ModelConfiguration(embeddingSize: 6, hiddenSizes: [8, 8])
    let card = ModelMetadata(
      configuration: configuration, vocabulary: vocabulary, progress: TrainingProgress(), results: RunResults(),
      corpus: CorpusIdentity(),
      provenance: Provenance(program: "0", oneDNN: "2", instructionSet: "x", threads: 1, ranks: 1))
    let parameters = try Parameters(card.parameterLayout)
    var random = SeededRandom(seed: 4)
    for place in 0..<parameters.buffer.count { parameters.buffer[place] = .random(in: -1...1, using: &random) }
    let path = folder.file("model.h5")
    try TrainedModel(card: card, parameters: parameters).save(to: path, precision: .single)
    return try SavedModel(path) { _ in }
  }

  static let kinds: [(name: String, entries: [String], kind: TokenizerKind, prompts: [String])] = [
    (
      "words", ["<unk>", "<eos>", "the", "cats", ",", "käse"], .words,
      ["", "the cats", "the", "the cats ", " ", "<unk>"]
    ),
    ("characters", ["\n", " ", "a", "b", "ü"], .characters, ["", "ab", "a", "a b\nü ", " "]),
    ("characters without line ends", [" ", "a", "b", "ü"], .characters, ["", "ab", "a", "a bü "]),
    ("bytes", [], .bytes, ["", "ab", "ü", " "]),
  ]

  @Test(arguments: kinds)
  func whatMayComeNextIsAsProbableAsALineWithIt(
    kind: (name: String, entries: [String], kind: TokenizerKind, prompts: [String])
  ) throws {
    let vocabulary = try Vocabulary(kind: kind.kind, entries: kind.entries)
    let saved = try Self.model(vocabulary)
    var compared = 0
    for begin in [true, false] {
      let open = try LineScorer(saved, begin: begin, end: false)
      let whole = try LineScorer(saved, begin: begin)
      for text in kind.prompts {
        let prompt = Prompt(text.utf8, begin: begin)
        if try vocabulary.kind == .words && !begin && text.allSatisfy(\.isWhitespace) || !begin && text.isEmpty {
          expectError("the prompt: expected a text, since it does not begin a line") {
            _ = try saved.nextTokens(after: prompt)
          }
          #expect(try open.score(prompt.text, source: "", withTokens: true).predictions == 0)
          continue
        }
        let next = try saved.nextTokens(after: prompt)
        #expect(next.count == vocabulary.count)
        #expect(abs(next.reduce(0) { $0 + $1.probability } - 1) < 1e-6)
        for token in next where token.id > 1 || vocabulary.kind != .words {
          let line = try open.score(prompt.text + token.text, source: "", withTokens: true)
          let last = try #require(line.tokens.last)
          #expect(last.id == token.id)
          #expect(abs(last.logProbability - log(token.probability)) < 1e-4, "\(text) \(token)")
          compared += 1
        }
        let line = try whole.score(prompt.text, source: "", withTokens: true)
        let start = try open.score(prompt.text, source: "", withTokens: true)
        guard let lineEnd = vocabulary.lineEnd else {
          #expect(line.logProbability == start.logProbability && line.predictions == start.predictions)
          continue
        }
        let end = try #require(next.first { $0.id == lineEnd })
        #expect(line.predictions == start.predictions + 1)
        #expect(abs(line.logProbability - start.logProbability - log(end.probability)) < 1e-4)
      }
    }
    #expect(compared > 20)
  }

  /// What is written first is what may come next.
  @Test(arguments: [true, false])
  func writingGoesOnAsCompletingSays(begin: Bool) throws {
    let saved = try Self.model(Vocabulary(kind: .characters, entries: ["\n", " ", "a", "b", "ü"]))
    let prompt = Prompt("ab".utf8, begin: begin)
    let writer = try saved.writer(prompt: prompt, SamplingSettings(temperature: 0, seed: 1))
    #expect(try writer.next() == saved.nextTokens(after: prompt)[0].text)
  }

  @Test func promptsThatCannotBeReadAreNamed() throws {
    let letters = try Self.model(Vocabulary(kind: .characters, entries: ["\n", "a"]))
    expectError("the prompt, line 1, byte 1: expected UTF-8, found byte 0xFF") {
      _ = try letters.nextTokens(after: Prompt([0x61, 0xff]))
    }
    let bytes = try Self.model(.bytes)
    #expect(try Prompt([0x61, 0xff]).tokens(bytes.tokenizer) == [10, 0x61, 0xff])
    #expect(try Prompt([0x61, 0xff], begin: false).tokens(bytes.tokenizer) == [0x61, 0xff])
  }

  @Test func whatMakesALineImpossibleIsTold() throws {
    let scorer = try LineScorer(Self.model(Vocabulary(kind: .characters, entries: ["\n", "a", "ü"])))
    let score = try scorer.score(Array("aüx a".utf8), source: "", withTokens: true)
    #expect(score.logProbability == -.infinity && score.unknown == 2 && score.tokens.isEmpty)
    #expect(score.impossible == LineScore.Impossible(character: "x", position: 3))
    #expect(try scorer.score(Array("aü".utf8), source: "", withTokens: false).impossible == nil)
  }

  @Test func endOfLineStopsATextOfWords() throws {
    let words = try Self.model(Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "a"]))
    func stops(_ stop: String, _ model: SavedModel, at text: String) throws -> Bool {
      var filter = try StopText([Array(stop.utf8)], in: model.tokenizer.vocabulary)
      _ = filter.add(Array(text.utf8))
      return filter.isOver
    }
    #expect(try stops("<eos>", words, at: "a a\n") && !stops("<eos>", words, at: "a a"))
    #expect(try stops(" a", words, at: "a a") && stops("a<eos>", words, at: "a a<eos>"))
    for stop in ["<unk>", "a <eos>", "<eos> a", "<unk> <unk>"] {
      expectError("the stop text: expected one that the model writes, found <") { _ = try stops(stop, words, at: "") }
    }
    let letters = try Self.model(Vocabulary(kind: .characters, entries: ["\n", "<", ">", "e", "o", "s"]))
    #expect(try stops("<eos>", letters, at: "e<eos>") && !stops("<eos>", letters, at: "e\n"))
  }
}
