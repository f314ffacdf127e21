import Files
import Glibc
import TestSupport
import Testing

@testable import Corpus

@Suite struct SampleTests {
  @Test func everyLineHasOneDerivationWithItsProbability() {
    for line in SampleText(seed: 3).prefix(500) {
      var parser = GrammarParser(line.words)
      let whole = parser.parse()
      #expect(whole.derivations == 1, "\(line.words)")
      #expect(abs(log(whole.probability) - line.logProbability) < 1e-9, "\(line.words)")
    }
  }

  @Test(arguments: [
    ("usually , the cats , which a clever teacher in the garden feeds , are very hungry .", true),
    ("the farmer said : “ ‘ do the trees , which many sailors water , bloom ? ’ asked every child . ”", true),
    ("the cats , which a teacher feeds , are hungry .", true),
    ("the cats , which a teacher feeds , is hungry .", false),
    ("the cats , which a teacher feeds , are creamy .", false),
    ("the cats , which a teacher bakes , are hungry .", false),
    ("the cats , which a teacher fed , are hungry .", false),
    ("do the cats in that garden sleep ?", true),
    ("do the cats in that garden sleep .", false),
    ("does the cats in that garden sleep ?", false),
    ("yesterday , the cats slept .", true),
    ("yesterday , the cats sleep .", false),
    ("the king said : “ the cake , which the dogs , who sing , ate , was sweet . ”", false),
    ("the king said : “ the cake , which the dogs , which feed some mice , eat , is sweet . ”", true),
    ("the king said : “ ‘ the cats sleep . ’ said a clerk . ”", true),
    ("the king said : “ ‘ the cats sleep . ” said a clerk . ’", false),
    ("the king said : “ the cats sleep . ” .", false),
    ("“ do the cats sleep ? ” asked the king .", true),
    ("“ do the cats sleep ? ” said the king .", false),
  ])
  func theGrammarRemembers(line: String, isGood: Bool) {
    var parser = GrammarParser(line.split(separator: " ").map(String.init))
    #expect(parser.parse().derivations == (isGood ? 1 : 0))
  }

  @Test func quotesNestAndQuestionsEndAsTheyBegan() {
    let closing = ["“": "”", "‘": "’"]
    var deepest = 0
    for line in SampleText(seed: 4).prefix(5000) {
      var open: [String] = []
      var asks = false
      var isStart = true
      for word in line.words {
        if let close = closing[word] { open.append(close) }
        if closing.values.contains(word) { #expect(open.popLast() == word, "\(line.words)") }
        if isStart { asks = ["do", "does", "did", "is", "are", "was", "were"].contains(word) }
        if word == "?" { #expect(asks, "\(line.words)") }
        isStart = ["“", "‘", "”", "’", ".", "?"].contains(word)
        deepest = max(deepest, open.count)
      }
      #expect(open.isEmpty, "\(line.words)")
    }
    #expect(deepest == SampleGrammar.maximumDepth)
  }

  /// What two words of memory are worth: a model that remembers more has something to win.
  @Test func twoWordsOfMemoryAreNotEnough() throws {
    var vocabulary = WordTable()
    var tokens: [Int32] = []
    var counts: [Int32: Int] = [:]
    var held: (tokens: [Int32], nats: Double) = ([], 0)
    for (index, line) in SampleText(seed: 5).prefix(44_000).enumerated() {
      let ids = (line.words + ["<eos>"]).map { Array($0.utf8).withUnsafeBytes { vocabulary.insert($0) } }
      if index < 40_000 {
        tokens += ids
        for id in ids { counts[id, default: 0] += 1 }
      } else {
        held.tokens += ids
        held.nats -= line.logProbability
      }
    }
    let trigram = TrigramModel(training: tokens, vocabularySize: vocabulary.count)
    let floor = exp(held.nats / Double(held.tokens.count))
    let reached = exp(trigram.nats(of: held.tokens) { log($0) } / Double(held.tokens.count))
    #expect((6...12).contains(floor), "\(floor)")
    #expect(reached > 1.15 * floor, "\(reached) over \(floor)")
    #expect((150...350).contains(vocabulary.count))
    #expect((counts.values.min() ?? 0) >= 200)
  }

  @Test func aSeedGivesOneText() {
    let first = Array(SampleText(seed: 7).prefix(50))
    #expect(first == Array(SampleText(seed: 7).prefix(50)))
    #expect(first != Array(SampleText(seed: 8).prefix(50)))
  }

  // MARK: Through preparation

  @Test func partsKnowTheirNats() throws {
    let folder = try TemporaryFolder()
    let configuration = folder.configuration {
      $0.sampleLines = 300
      $0.sampleSeed = 9
    }
    let corpus = try CorpusPreparation.open(configuration)
    let lines = Array(SampleText(seed: 9).prefix(300))
    var next = 0
    for part in CorpusPart.allCases {
      let tokens = try corpus.part(part).all()
      let count = tokens.count { $0 == Vocabulary.endOfLine }
      let mine = lines[next..<next + count]
      #expect(tokens.count == mine.reduce(0) { $0 + $1.words.count + 1 })
      let nats = try #require(corpus.manifest.parts[part].sourceNats)
      #expect(abs(nats + mine.reduce(0) { $0 + $1.logProbability }) < 1e-9)
      next += count
    }
    #expect(next == 300)
    #expect(try CorpusPreparation.open(configuration).manifest == corpus.manifest)
    var characters = configuration
    characters.tokenizer = .characters
    #expect(try CorpusPreparation.open(characters).manifest.parts.train.sourceNats == nil)
  }

  @Test func listsThatDoNotFitAreRefused() throws {
    let folder = try TemporaryFolder()
    let text = try folder.write("a.txt", "one\ntwo\n")
    func open() throws -> PreparedCorpus { try CorpusPreparation.open(folder.configuration(text: [text])) }
    #expect(try open().manifest.parts.train.sourceNats == nil)
    try folder.write("a.logprob", "-1.5\n-2.25\n")
    #expect(try open().manifest.parts.train.sourceNats == 3.75)
    try folder.write("a.logprob", "-1.5\n")
    expectError("a.logprob", "expected 2 lines", "found 1") { _ = try open() }
    try folder.write("a.logprob", "-1.5\nx\n")
    expectError("a.logprob, line 2", "found \"x\"") { _ = try open() }
  }
}
