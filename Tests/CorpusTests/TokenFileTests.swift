import Files
import TestSupport
import Testing

@testable import Corpus

@Suite struct TokenFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func corpus(shards: Int = 1) throws -> PreparedCorpus {
    let path = try folder.write("text", (0..<40).map { "word\($0)\n" }.joined())
    return try CorpusPreparation.prepare(
      folder.configuration(text: [path]) {
        $0.split = [1, 0, 0]
        $0.shards = shards
      }, into: "\(folder.path)/made")
  }

  /// Changes a file's bytes.
  private func edit(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
    var bytes = try MappedFile.withBytes(of: path) { Array($0) }
    change(&bytes)
    try OutputFile.replace(path) { try $0.write(bytes) }
  }

  @Test(arguments: [1, 2, 3, 7, 80, 200])
  func shardsAreEqualStretches(count: Int) throws {
    let corpus = try corpus(shards: count)
    let shards = corpus.manifest.parts.train.shards
    #expect(shards.count == min(count, 80))
    #expect(shards.map(\.tokens).reduce(0, +) == 80)
    #expect((shards.map(\.tokens).max() ?? 0) - (shards.map(\.tokens).min() ?? 0) <= 1)
    let all = try corpus.part(.train).all()
    #expect(all == (0..<40).flatMap { [corpus.vocabulary.id(of: "word\($0)".utf8) ?? 0, 1] })
    for range in [0..<0, 0..<1, 13..<29, 79..<80, 80..<80, 26..<54] {
      var tokens = [Int32](repeating: 0, count: range.count)
      try tokens.withUnsafeMutableBufferPointer { try corpus.part(.train).copy(range, into: $0) }
      #expect(tokens == Array(all[range]))
    }
  }

  @Test func onlyTheShardsAskedForAreMapped() throws {
    let reader = try corpus(shards: 4).part(.train)
    var tokens = [Int32](repeating: 0, count: 4)
    #expect(reader.mappedFiles == 0)
    try tokens.withUnsafeMutableBufferPointer { try reader.copy(58..<62, into: $0) }
    #expect(reader.mappedFiles == 2)
  }

  @Test(arguments: [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
  func tokensAreAsWideAsTheVocabularyNeeds(size: Int, width: Int) throws {
    #expect(TokenFormat.width(vocabularySize: size) == width)
    let tokens = (0..<1000).map { Int32($0 % 2 == 0 ? size - 1 - $0 / 10 : $0 / 10) }
    let writer = TokenFileWriter(
      directory: folder.path, part: .test, tokens: 1000, shards: 2, vocabularySize: size)
    try tokens.withUnsafeBufferPointer { try writer.write($0) }
    let part = CorpusManifest.Part(tokens: 1000, unknownTokens: 0, sourceNats: nil, shards: writer.finish())
    #expect(part.shards.map(\.file) == ["test-00000.tokens", "test-00001.tokens"])
    #expect(try FileSystem.status("\(folder.path)/test-00001.tokens").size == 64 + 500 * width)
    let reader = TokenReader(directory: folder.path, part: part, vocabularySize: size)
    #expect(try reader.all() == tokens)
    let liar = TokenReader(directory: folder.path, part: part, vocabularySize: size - 1)
    let error = message { _ = try liar.all() }
    let changesWidth = TokenFormat.width(vocabularySize: size - 1) != width
    #expect(
      error.contains(changesWidth ? "expected bytes" : "expected tokens below \(size - 1), found \(size - 1)")
    )
  }

  @Test func damagedFilesAreRefused() throws {
    let corpus = try corpus(shards: 2)
    let file = "\(corpus.directory)/train-00001.tokens"
    func read() throws { _ = try PreparedCorpus(directory: corpus.directory).part(.train).all() }
    let good = try MappedFile.withBytes(of: file) { Array($0) }

    try edit(file) { $0[70] ^= 1 }
    expectError(
      "train-00001.tokens", "expected SHA-256 \(corpus.manifest.parts.train.shards[1].sha256)", "delete",
      from: read)
    try edit(file) {
      $0 = good
      $0.removeLast()
    }
    expectError("train-00001.tokens", "expected bytes 104, found 103", from: read)
    try edit(file) { $0 = [] }
    expectError("train-00001.tokens", "expected bytes 104, found 0", from: read)
    try edit(file) {
      $0 = good
      $0[8] = 2
    }
    expectError("train-00001.tokens", "expected a header", from: read)
    try FileSystem.remove(file)
    expectError("cannot open", "train-00001.tokens", from: read)
    try edit("\(corpus.directory)/train-00000.tokens") { _ in }
    try folder.write("made/train-00001.tokens", good)
    try read()
  }

  @Test func damagedManifestsAreRefused() throws {
    let corpus = try corpus()
    let manifest = "\(corpus.directory)/manifest.json"
    let good = try MappedFile.withBytes(of: manifest) { String(decoding: $0, as: UTF8.self) }
    func expect(_ parts: String..., after old: String, _ new: String) throws {
      try #require(good.contains(old))
      try edit(manifest) { $0 = Array(good.replacing(old, with: new).utf8) }
      let error = message { _ = try PreparedCorpus(directory: corpus.directory) }
      for part in parts + ["manifest.json"] { #expect(error.contains(part), "\(error)") }
    }
    try expect(
      "expected formatVersion 1 or older, found 2", after: "\"formatVersion\" : 1", "\"formatVersion\" : 2")
    try expect("expected fingerprint", after: "\"tokens\" : 80", "\"tokens\" : 79")
    try expect("expected a manifest", after: "\"tokens\" : 80", "\"tokens\" : \"x\"")
    try expect("expected a manifest", after: "{", "")
    try edit(manifest) { $0 = Array(good.utf8) }
    try edit("\(corpus.directory)/vocabulary.json") { $0[$0.count - 5] ^= 1 }
    expectError("vocabulary.json", "expected SHA-256 \(corpus.manifest.vocabulary.sha256)") {
      _ = try PreparedCorpus(directory: corpus.directory)
    }
  }

  @Test func damagedTokensInTheCacheCanBeMadeAgain() throws {
    let path = try folder.write("text", "a b c\n")
    let configuration = folder.configuration(text: [path])
    let corpus = try CorpusPreparation.open(configuration)
    try edit("\(corpus.directory)/manifest.json") { $0.removeLast(20) }
    #expect(try CorpusPreparation.open(configuration).manifest == corpus.manifest)
  }
}
