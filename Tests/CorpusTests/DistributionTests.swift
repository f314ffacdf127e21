import TestSupport
import Testing

@testable import Corpus
@testable import Files

/// Tokens that a host is sent: what it takes for right, and what it asks for again.
@Suite(.serialized) struct DistributionTests {
  private let folder: TemporaryFolder
  private let corpus: PreparedCorpus
  private let contents: CorpusContents
  /// What a host needs: the middle of training, the end of validation, all of test.
  private let needed: PartMap<[Range<Int>]>

  init() throws {
    folder = try TemporaryFolder()
    let text = try folder.write("text", (0..<3000).map { "word\($0 % 900) and\n" }.joined())
    corpus = try CorpusPreparation.prepare(
      folder.configuration(text: [text]) { $0.shards = 3 }, into: folder.file("made"))
    // Two bytes a token: pieces of 100 tokens.
    contents = try CorpusContents(encoded: CorpusContents(of: corpus, pieceSize: 200).encoded())
    let tokens = corpus.manifest.parts.map { $1.tokens }
    needed = PartMap(
      train: [tokens.train / 3..<tokens.train / 2, tokens.train / 2 - 50..<tokens.train / 2 + 300],
      validation: [tokens.validation - 7..<tokens.validation], test: [0..<tokens.test])
  }

  private func cache(_ needed: PartMap<[Range<Int>]>?) throws -> CorpusCache {
    try CorpusCache(folder.file("cache"), contents, needed: needed)
  }

  /// Sends what is missing; returns how many pieces those were, and what the cache said of what it held.
  @discardableResult
  private func fill(_ needed: PartMap<[Range<Int>]>?) throws -> (pieces: Int, problem: String?) {
    let cache = try cache(needed)
    for message in contents.messages(for: cache.missing) {
      try cache.write(contents.message(message, from: corpus.directory), message)
    }
    let opened = try cache.finish()
    try opened.verify(needed)
    for part in CorpusPart.allCases {
      for range in needed?[part] ?? [0..<corpus.manifest.parts[part].tokens] {
        #expect(try tokens(opened, part, range) == tokens(corpus, part, range))
      }
    }
    return (cache.missing.count, cache.problem)
  }

  private func tokens(_ corpus: PreparedCorpus, _ part: CorpusPart, _ range: Range<Int>) throws -> [Int32] {
    var tokens = [Int32](repeating: -1, count: range.count)
    try tokens.withUnsafeMutableBufferPointer { try corpus.part(part).copy(range, into: $0) }
    return tokens
  }

  private func edit(_ name: String, _ change: (inout [UInt8]) -> Void) throws {
    let path = folder.file("cache/\(name)")
    var bytes = try MappedFile.withBytes(of: path) { Array($0) }
    change(&bytes)
    try OutputFile.replace(path) { try $0.write(bytes) }
  }

  @Test func onlyWhatIsNeededIsSentAndOnlyOnce() throws {
    let pieces = contents.pieces
    let sent = try fill(needed)
    #expect(sent.pieces == pieces.holding(needed).count && sent.problem == nil)
    #expect(sent.pieces < pieces.count / 2)
    #expect(try fill(needed).pieces == 0)
    // Other lanes: what is there already is not sent again.
    let more = PartMap(train: [0..<corpus.manifest.parts.train.tokens / 2], validation: [], test: [])
    let both = PartMap(train: needed.train + more.train, validation: needed.validation, test: needed.test)
    #expect(try fill(more).pieces == pieces.holding(both).count - pieces.holding(needed).count)
    #expect(try fill(nil).pieces == pieces.count - pieces.holding(both).count)
    #expect(try fill(nil).pieces == 0)
  }

  @Test func piecesAreThoseThatHoldTheTokens() throws {
    var random = SeededRandom(seed: 1)
    for _ in 0..<200 {
      let count = corpus.manifest.parts.train.tokens
      let start = Int.random(in: 0..<count, using: &random)
      let range = start..<Int.random(in: start...count, using: &random)
      let held = contents.pieces.holding(PartMap(train: [range], validation: [], test: []))
      let expected = contents.pieces.files.filter { $0.part == .train }.flatMap { file in
        file.pieces.filter { piece in
          let first = file.firstToken + (piece - file.firstPiece) * 100
          return range.overlaps(first..<min(first + 100, file.firstToken + file.format.tokens)) && !range.isEmpty
        }
      }
      #expect(held == expected, "\(range)")
      let bytes = contents.messages(for: held).map { contents.bytes(of: $0) }
      #expect(bytes.allSatisfy { $0 <= CorpusContents.messageSize })
      #expect(contents.messages(for: held).flatMap { Array($0) } == held)
    }
  }

  @Test func onlyAWholeCacheLooksLikeACorpus() throws {
    try fill(needed)
    expectError("expected prepared tokens", "manifest.json") { _ = try PreparedCorpus(directory: folder.file("cache")) }
    try fill(nil)
    let whole = try PreparedCorpus(directory: folder.file("cache"))
    try whole.verify()
    #expect(whole.manifest == corpus.manifest && whole.vocabulary.entries == corpus.vocabulary.entries)
    // Damaged, it is none any more until it is mended.
    try edit("train-00001.tokens") { $0[333] ^= 4 }
    let cache = try cache(nil)
    #expect(cache.missing.count == 1 && cache.problem?.contains("damaged in 1 of") == true)
    expectError("expected prepared tokens") { _ = try PreparedCorpus(directory: folder.file("cache")) }
    #expect(try fill(nil).pieces == 1)
    try PreparedCorpus(directory: folder.file("cache")).verify()
  }

  @Test func tokensThatWereNotSentAreNotRead() throws {
    try fill(needed)
    let opened = try CorpusCache.open(folder.file("cache"), contents)
    let end = corpus.manifest.parts.train.shards[0].tokens + corpus.manifest.parts.train.shards[1].tokens
    expectError("train-00001.tokens", "expected the tokens that were sent", "sent again") {
      _ = try tokens(opened, .train, end - 1..<end)
    }
    expectError("cannot open", "train-00000.tokens") { _ = try tokens(opened, .train, 0..<1) }
  }

  @Test func damageOfEveryKindIsFoundAndMended() throws {
    try fill(needed)
    let whole = contents.pieces.holding(needed).count
    let shard = "test-00000.tokens"
    let ofShard = try #require(contents.pieces.files.first { $0.shard.file == shard }).pieces.count
    func expect(_ pieces: Int, _ problem: String?, sourceLocation: SourceLocation = #_sourceLocation) throws {
      let found = try fill(needed)
      #expect(found.pieces == pieces, sourceLocation: sourceLocation)
      #expect(
        problem == nil ? found.problem == nil : found.problem?.contains(problem ?? "") == true,
        "\(found.problem ?? "nothing")", sourceLocation: sourceLocation)
    }
    try edit(shard) { $0[TokenFormat.headerSize] ^= 1 }
    try expect(1, "test-00000.tokens was damaged in 1 of")
    try edit(shard) { $0.removeLast() }
    try expect(ofShard, "was cut short or changed")
    try edit(shard) { $0 = [] }
    try expect(ofShard, "found 0")
    try edit(shard) { $0.append(0) }
    try expect(ofShard, "was cut short or changed")
    try edit(shard) { $0[8] = 9 }
    try expect(ofShard, "with a header")
    try FileSystem.remove(folder.file("cache/\(shard)"))
    try expect(ofShard, nil)
    // A hole is what was never sent.
    try edit(shard) { for index in $0.indices.dropFirst(TokenFormat.headerSize).prefix(200) { $0[index] = 0 } }
    try expect(1, nil)
    try edit("vocabulary.json") { $0.removeLast(5) }
    try expect(0, nil)
    try edit("partial.json") { $0.removeLast(9) }
    try expect(whole, "had no manifest that can be read")
    try FileSystem.remove(folder.file("cache/partial.json"))
    try expect(whole, "had no manifest that can be read")
  }

  @Test func damageAnywhereIsMended() throws {
    try fill(nil)
    let names = try FileSystem.list(folder.file("cache")).filter { $0.hasSuffix(".tokens") }
    try forEachMutation(count: 100) { number, mutator in
      let name = try #require(names.randomElement(using: &mutator.random))
      try edit(name) { $0 = mutator.mutate($0) }
      try fill(nil)
      try PreparedCorpus(directory: folder.file("cache")).verify()
    }
  }

  @Test func tokensOfAnotherTextAreSentAnew() throws {
    let text = try folder.write("other", (0..<3000).map { "word\($0 % 800) and\n" }.joined())
    let other = try CorpusPreparation.prepare(folder.configuration(text: [text]), into: folder.file("made-other"))
    let itsContents = try CorpusContents(of: other, pieceSize: 200)
    try fill(nil)
    let cache = try CorpusCache(folder.file("cache"), itsContents, needed: nil)
    #expect(cache.missing.count == itsContents.pieces.count)
    #expect(cache.problem?.contains("held other tokens, \(corpus.manifest.fingerprint.prefix(12))") == true)
    #expect(try !FileSystem.list(folder.file("cache")).contains { $0.hasSuffix(".tokens") })
  }

  @Test func whatArrivesDamagedIsRefused() throws {
    let cache = try cache(needed)
    let message = try #require(contents.messages(for: cache.missing).first)
    var bytes = try contents.message(message, from: corpus.directory)
    bytes[bytes.count - 1] ^= 1
    expectError("arrived with another SHA-256") { try cache.write(bytes, message) }
    expectError("arrived with another SHA-256") { try cache.write(bytes.dropLast(3), message) }
    #expect(try self.cache(needed).missing == cache.missing)
  }

  /// Each call that changes files fails in turn: what is left is no corpus, and is mended.
  @Test(arguments: [FaultPlan.Extent.once, .lasting, .lastingAfterHalf])
  func aFullDiskLeavesNothingThatLooksWhole(extent: FaultPlan.Extent) throws {
    let path = folder.file("cache")
    func attempt(_ call: Int) throws -> (calls: Int, failed: [String]) {
      for name in (try? FileSystem.list(path)) ?? [] { try FileSystem.remove("\(path)/\(name)") }
      return try FaultPlan.during(FaultPlan(path: path, call: call, code: 28, extent: extent)) {
        if call == .max {
          try fill(nil)
        } else {
          #expect(message { try fill(nil) }.contains("No space left on device"))
        }
      }
    }
    let calls = try attempt(.max).calls
    #expect(calls > 10)
    for call in 1...calls {
      // The last is a folder's sync: the files are whole by then.
      let outcome = try attempt(call)
      #expect(!outcome.failed.isEmpty)
      if let corpus = try? PreparedCorpus(directory: path) { try corpus.verify() }
      try fill(nil)
    }
  }

  @Test func aCorpusIsFoundWhereverItIs() throws {
    let text = try folder.write("found", "a b c\nd e f\ng h i\n")
    var configuration = folder.configuration(text: [text])
    configuration.distribute = true
    #expect(try CorpusPreparation.find(configuration) == nil)
    let made = try CorpusPreparation.open(configuration)
    #expect(try CorpusPreparation.find(configuration)?.directory == made.directory)
    // Another host: neither the text nor what was made of it, but all of it sent.
    let contents = try CorpusContents(of: made)
    try FileSystem.remove(text)
    #expect(CorpusPreparation.isMissing(configuration))
    #expect(try CorpusCache.whole(for: configuration) == nil && CorpusPreparation.find(configuration) == nil)
    let cache = try CorpusCache(CorpusCache.directory(for: configuration), contents, needed: nil)
    for message in contents.messages(for: cache.missing) {
      try cache.write(contents.message(message, from: made.directory), message)
    }
    _ = try cache.finish()
    #expect(try CorpusCache.whole(for: configuration)?.manifest == made.manifest)
    #expect(try CorpusPreparation.find(configuration)?.manifest.fingerprint == made.manifest.fingerprint)
    var other = configuration
    other.minimumCount = 2
    #expect(try CorpusPreparation.find(other) == nil)
  }
}
