import Files
import Glibc
import TestSupport
import Testing

@testable import Corpus

@Suite struct PreparationTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let hundredLines = (0..<100).map { "line \($0 % 7) é\n" }.joined()

  private func text(_ corpus: PreparedCorpus, _ part: CorpusPart) throws -> String {
    let tokens = try corpus.part(part).all()
    return String(decoding: Tokenizer(vocabulary: corpus.vocabulary).decode(tokens), as: UTF8.self)
  }

  @Test(arguments: TokenizerKind.allCases)
  func partsMakeUpTheText(kind: TokenizerKind) throws {
    let path = try folder.write("text.txt", PreparationTests.hundredLines)
    let corpus = try CorpusPreparation.open(folder.configuration(text: [path], tokenizer: kind))
    let parts = try CorpusPart.allCases.map { try corpus.part($0).all() }
    let whole = Tokenizer(vocabulary: corpus.vocabulary).decode(parts.flatMap { $0 })
    #expect(whole == Array(PreparationTests.hundredLines.utf8))
    #expect(corpus.manifest.parts.map { $1.tokens }.all == parts.map(\.count))
    #expect(corpus.manifest.sources.map(\.path) == [path])
    let lines = try CorpusPart.allCases.map { try text(corpus, $0).utf8.count { $0 == 10 } }
    if kind == .words { #expect(lines == [90, 5, 5]) }
    if kind == .bytes { #expect(parts.map(\.count) == [900, 50, 50]) }
  }

  /// Whatever is under way, what is thrown ends it, and nothing stays of what was begun.
  @Test func itCanBeStoppedAnywhere() throws {
    struct Stop: Error {}
    let text = try folder.write("text.txt", PreparationTests.hundredLines)
    for configuration in [
      folder.configuration { $0.sampleLines = 25_000 },
      folder.configuration(text: [text], tokenizer: .characters) { $0.cache = folder.file("other") },
    ] {
      var calls = 0
      var isDone = false
      while !isDone {
        calls += 1
        var left = calls
        do {
          _ = try CorpusPreparation.open(configuration) { _ in
            left -= 1
            if left == 0 { throw Stop() }
          }
          isDone = true
        } catch is Stop {
          let made = try FileSystem.list(configuration.cache)
          #expect(made.allSatisfy { $0 == "sample-25000-lines-seed-1" }, "stopped at call \(calls): \(made)")
        }
      }
      #expect(calls > 3)
    }
  }

  @Test func cutsMoveToTheNextBoundary() throws {
    let path = try folder.write("text", "aaaa\nbb\nc éd\n")  // é is bytes 10 and 11 of 14
    let words = try folder.write("words", "aaaa\nbb\nc\néd\n")
    func parts(_ kind: TokenizerKind, _ split: [Double]) throws -> [String] {
      let corpus = try CorpusPreparation.open(
        folder.configuration(text: [path], tokenizer: kind) {
          $0.split = split
          if kind == .words { $0.vocabulary = words }
        })
      return try CorpusPart.allCases.map { try text(corpus, $0) }
    }
    #expect(try parts(.words, [2 / 14, 3 / 14, 9 / 14]) == ["aaaa\n", "", "bb\nc éd\n"])
    #expect(try parts(.words, [5 / 14, 3 / 14, 6 / 14]) == ["aaaa\n", "bb\n", "c éd\n"])
    #expect(try parts(.words, [6 / 14, 8 / 14, 0]) == ["aaaa\nbb\n", "c éd\n", ""])
    #expect(try parts(.characters, [11 / 14, 0, 3 / 14]) == ["aaaa\nbb\nc é", "", "d\n"])
    #expect(try parts(.characters, [1, 0, 0]) == ["aaaa\nbb\nc éd\n", "", ""])
  }

  @Test func severalFilesAreOneText() throws {
    try folder.write("texts/b.txt", "three four")
    try folder.write("texts/a.txt", "one two")
    try folder.write("texts/.hidden", "no")
    try folder.write("texts/below/c.txt", "no")
    let last = try folder.write("last", "\u{FEFF}five\n")
    let corpus = try CorpusPreparation.open(
      folder.configuration(text: ["\(folder.path)/texts", last]) { $0.split = [1, 0, 0] })
    #expect(try text(corpus, .train) == "one two three four five\n")
    try folder.write("none/.hidden", "no")
    expectError("none", "folder with text files") {
      _ = try CorpusPreparation.open(folder.configuration(text: ["\(folder.path)/none"]))
    }
  }

  @Test func wordsComeFromTheTrainingPart() throws {
    let train = try folder.write("train", "b b a a a c\n")
    let test = try folder.write("test", "a d\n")
    func open(_ change: (inout CorpusConfiguration) -> Void) throws -> PreparedCorpus {
      try CorpusPreparation.open(
        folder.configuration {
          $0.train = PathList([train])
          $0.test = PathList([test])
          change(&$0)
        })
    }
    let all = try open { _ in }
    #expect(all.vocabulary.entries == ["<unk>", "<eos>", "a", "b", "c"])
    #expect(all.manifest.parts.test.unknownTokens == 1)
    #expect(all.part(.validation).count == 0)
    #expect(try all.part(.validation).all() == [])
    #expect(try open { $0.minimumCount = 2 }.vocabulary.entries == ["<unk>", "<eos>", "a", "b"])
    #expect(try open { $0.maximumVocabulary = 3 }.manifest.parts.train.unknownTokens == 3)
    let words = try folder.write("words", "d\nc\n")
    let fixed = try open { $0.vocabulary = words }
    #expect(fixed.vocabulary.entries == ["<unk>", "<eos>", "d", "c"])
    #expect(try fixed.part(.test).all() == [0, 2, 1])
    #expect(try open { $0.tokenizer = .characters }.vocabulary.entries == ["\n", " ", "a", "b", "c", "d"])
  }

  @Test func tokensAreUsedAgainUntilSomethingChanges() throws {
    let path = try folder.write("text.txt", PreparationTests.hundredLines)
    let configuration = folder.configuration(text: [path])
    final class Count { var value = 0 }
    let calls = Count()
    func open(_ configuration: CorpusConfiguration) throws -> (PreparedCorpus, wasMade: Bool) {
      calls.value = 0
      return (try CorpusPreparation.open(configuration) { _ in calls.value += 1 }, calls.value > 0)
    }
    let (first, made) = try open(configuration)
    #expect(made)
    #expect(FileSystem.name(of: first.directory).hasPrefix("text-"))
    #expect(try !open(configuration).wasMade)

    let (bytes, bytesMade) = try open(folder.configuration(text: [path], tokenizer: .bytes))
    #expect(bytesMade && bytes.directory != first.directory)
    #expect(try !open(configuration).wasMade)

    try folder.write("text.txt", PreparationTests.hundredLines + "more\n")
    let (second, madeAgain) = try open(configuration)
    #expect(madeAgain && second.directory == first.directory)
    #expect(second.manifest.fingerprint != first.manifest.fingerprint)

    var prepared = CorpusConfiguration(prepared: second.directory)
    #expect(try open(prepared).0.manifest == second.manifest)
    prepared.prepared = folder.path
    expectError("found no manifest.json", "lockstep corpus prepare") { _ = try open(prepared) }
    #expect(try FileSystem.list("\(folder.path)/cache").count == 2)
  }

  @Test func fingerprintsKnowOnlyTheTokens() throws {
    let one = try folder.write("one", PreparationTests.hundredLines)
    let two = try folder.write("two", PreparationTests.hundredLines)
    let first = try CorpusPreparation.open(folder.configuration(text: [one]))
    let second = try CorpusPreparation.prepare(folder.configuration(text: [two]), into: "\(folder.path)/mine")
    #expect(first.manifest.fingerprint == second.manifest.fingerprint)
    let bytes = try CorpusPreparation.open(folder.configuration(text: [one], tokenizer: .bytes))
    #expect(first.manifest.fingerprint != bytes.manifest.fingerprint)
  }

  @Test func foldersOfOthersAreLeftAlone() throws {
    let path = try folder.write("text", "a b\n")
    let configuration = folder.configuration(text: [path])
    let mine = try folder.write("mine/letter", "dear")
    expectError("mine", "found other files") {
      _ = try CorpusPreparation.prepare(configuration, into: FileSystem.parent(of: mine))
    }
    #expect(FileSystem.exists(mine))
    try FileSystem.remove(mine)
    for _ in 0..<2 { _ = try CorpusPreparation.prepare(configuration, into: FileSystem.parent(of: mine)) }
    #expect(try FileSystem.list(folder.path) == ["mine", "text"])
  }

  @Test func leftoversOfTheDeadAreRemoved() throws {
    let path = try folder.write("text", "a b\n")
    let target = "\(folder.path)/made"
    var staging: StagingFolder? = try StagingFolder(for: target)
    let alive = try #require(staging?.path)
    let dead = alive.replacing("@\(getpid())-", with: "@\(Int32.max)-")
    try folder.write("\(FileSystem.name(of: dead))/half", "x")
    _ = try CorpusPreparation.prepare(folder.configuration(text: [path]), into: target)
    #expect(FileSystem.exists(alive) && !FileSystem.exists(dead))
    staging = nil
    #expect(try FileSystem.list(folder.path) == ["made", "text"])
  }

  @Test func manyAtOnceGetTheSame() async throws {
    let path = try folder.write("text", PreparationTests.hundredLines)
    let configuration = folder.configuration(text: [path])
    let prints = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<8 { group.addTask { try CorpusPreparation.open(configuration).manifest.fingerprint } }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(prints.count == 1)
    #expect(try FileSystem.list("\(folder.path)/cache").count == 1)
  }

  @Test func emptyTextIsRefused() throws {
    let path = try folder.write("empty.txt", "")
    for kind in TokenizerKind.allCases {
      expectError("expected at least one token", "empty.txt", "corpus.split") {
        _ = try CorpusPreparation.open(folder.configuration(text: [path], tokenizer: kind))
      }
      expectError("corpus.train") {
        _ = try CorpusPreparation.open(
          folder.configuration(tokenizer: kind) {
            $0.train = PathList([path])
          })
      }
    }
    expectError("cannot open", "missing.txt", "check the path") {
      _ = try CorpusPreparation.open(folder.configuration(text: ["\(folder.path)/missing.txt"]))
    }
    #expect(try FileSystem.list("\(folder.path)/cache") == [])
  }

  @Test func progressGoesThroughBothPasses() throws {
    let path = try folder.write("text", PreparationTests.hundredLines)
    final class Seen { var all: [PreparationProgress] = [] }
    let seen = Seen()
    _ = try CorpusPreparation.open(folder.configuration(text: [path])) { seen.all.append($0) }
    for phase in [PreparationProgress.Phase.surveying, .encoding] {
      #expect(
        seen.all.last { $0.phase == phase } == PreparationProgress(phase: phase, done: 1000, total: 1000))
    }
  }
}
