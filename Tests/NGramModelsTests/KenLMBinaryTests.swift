import Corpus
import Files
import Foundation
import TestSupport
import Testing

@testable import NGramModels

@Suite struct KenLMBinaryTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func column<Number: BitwiseCopyable>(_ numbers: [Number]) -> Column<Number> {
    let column = Column<Number>(numbers.count)
    _ = column.numbers.update(fromContentsOf: numbers)
    return column
  }

  private func model(_ tree: NGramTree, _ words: [String]) throws -> NGramModel {
    let vocabulary = try Vocabulary(kind: .words, entries: ["<unk>", "<eos>"] + words)
    return try NGramModel(tree, vocabulary, NGramMetadata(order: tree.levels.count, tokenizer: .words))
  }

  /// Of the words a and b: words are 1 <unk>, 2 <eos>, 3 a, 4 b, 5 <s>.
  private func smallModel() throws -> NGramModel {
    let tree = NGramTree([
      NGramTree.Level(
        words: column([]), children: column([0, 0, 0, 1, 3, 5, 5]),
        probabilities: column([-99, -2, -1, -0.5, -0.75, 0]), backoffs: column([0, 0, 0, -0.25, 0, 0.125])),
      // b </s>; b a, <s> a; a b, b b
      NGramTree.Level(
        words: column([4, 4, 5, 3, 4]), children: column([0, 1, 1, 1, 3, 3]),
        probabilities: column([-0.125, -0.25, -0.375, -0.4375, -0.625]), backoffs: column([0, 0, -0.5, 0, 0])),
      // a b </s>; b a b, <s> a b
      NGramTree.Level(
        words: column([3, 4, 5]), children: column([]), probabilities: column([-0.0625, -0.3125, 0]),
        backoffs: column([])),
    ])
    return try model(tree, ["a", "b"])
  }

  /// Of every n-gram: its words and numbers.
  private func contents(_ model: NGramModel) -> [[[Float]]] {
    (1...model.order).map { order in
      var ngrams: [[Float]] = []
      model.forEach(order: order) { words, probability, backoff in
        ngrams.append(words.map { Float($0) } + [probability, backoff ?? 0])
      }
      return ngrams
    }
  }

  private func bytes(_ model: NGramModel) throws -> [UInt8] {
    let path = folder.file("model.bin")
    try model.writeKenLM(to: path)
    return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  private func read(_ bytes: [UInt8]) throws -> NGramModel {
    try KenLMReader.read(folder.write("other.bin", bytes))
  }

  @Test func whatIsWrittenReadsTheSame() throws {
    let model = try smallModel()
    let path = folder.file("model.bin")
    var (written, found): ([Int], [Int]) = ([], [])
    try model.writeKenLM(to: path) { done, total in written += [done, total] }
    let again = try KenLMReader.read(path) { done, total in found += [done, total] }
    #expect(again.vocabulary == model.vocabulary && contents(again) == contents(model))
    #expect(written.suffix(2) == [13, 13] && found.suffix(2) == [13, 13])
    #expect(try KenLMReader.isKenLM(path))
    #expect(try !KenLMReader.isKenLM(folder.write("text", Array("\\data\\".utf8))))
  }

  /// The bytes are those that KenLM's `build_binary` makes of `writeARPA` of the small model.
  @Test func theFileIsThatOfKenLM() throws {
    let file = try bytes(smallModel())
    #expect(
      file.withUnsafeBytes { Digest.of($0) }.hexadecimal
        == "10a923c78b0733d2a98b064569b736f36fffd4b41f2e4068ab57e2ff7c156c7b")
  }

  /// Many n-grams, so that tables wrap around and hashes share the first bits.
  @Test func largerModelsReadTheSame() throws {
    var random = SeededRandom(seed: 3)
    let words = 60
    let begin = UInt32(words + 3)
    // Texts of a few words: every n-gram of each is in the model, so all that one begins or ends with is.
    var ngrams = [Set<[UInt32]>](repeating: [], count: 5)
    for _ in 0..<800 {
      let length = Int.random(in: 1...9, using: &random)
      let text = [begin] + (0..<length).map { _ in UInt32.random(in: 1...UInt32(words + 2), using: &random) } + [2]
      for order in 2...5 where text.count >= order {
        for start in 0...(text.count - order) { ngrams[order - 1].insert(text[start..<(start + order)].reversed()) }
      }
    }
    var sorted: [[[UInt32]]] = [(0...begin).map { [$0] }]
    for order in 2...5 { sorted.append(ngrams[order - 1].sorted { $0.lexicographicallyPrecedes($1) }) }
    let levels = sorted.enumerated().map { place, level in
      let parents = place == 4 ? [] : level
      var children: [UInt32] = []
      if place < 4 {
        var next = 0
        for parent in parents {
          children.append(UInt32(next))
          while next < sorted[place + 1].count, Array(sorted[place + 1][next].dropLast()) == parent { next += 1 }
        }
        children.append(UInt32(next))
      }
      return NGramTree.Level(
        words: column(place == 0 ? [] : level.map { $0.last! }), children: column(children),
        probabilities: column(
          level.map { $0 == [0] ? -99 : $0 == [begin] ? 0 : Float.random(in: -9...0, using: &random) }),
        backoffs: column(parents.map { _ in Bool.random(using: &random) ? 0 : .random(in: -2...2, using: &random) }))
    }
    // A word that is nowhere has no backoff.
    levels[0].backoffs[0] = 0
    let model = try model(NGramTree(levels), (0..<words).map { "word\($0)" })
    let again = try read(bytes(model))
    #expect(again.vocabulary == model.vocabulary && again.counts == model.counts && model.counts[2] > 2000)
    #expect(contents(again) == contents(model))
  }

  private func place(of text: String, in bytes: [UInt8]) throws -> Int {
    try #require(bytes.indices.last { bytes[$0...].starts(with: text.utf8) })
  }

  @Test(arguments: [
    (96, [2, 0, 0, 0] as [UInt8], "found one of the kind trie; use the ARPA file"),
    (96, [5, 0, 0, 0], "trie with quantization and array-compressed pointers"),
    (96, [9, 0, 0, 0], "found kind 9"),
    (96, [1, 0, 0, 0], "a file of"),
    (88, [1], "expected an order from 2 to 10, found 1"),
    (88, [200], "expected an order from 2 to 10, found 200"),
    (92, [0, 0, 0, 0x3f], "expected tables as large as their entries or larger, found 0.5 times"),
    (92, [0, 0, 0x80, 0x7f], "a file of"),
    (92, [0, 0, 0xc0, 0x7f], "found nan times"),
    (100, [0], "expected the words at the end of the file, found none"),
    (104, [1, 0, 0, 0], "expected version 0 of the hash tables, found version 1"),
    (108, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "found a file of"),
    (116, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "found a file of"),
    (116, [0, 0, 0, 0, 0, 0, 0, 0x10], "found a file of"),
    (49, [UInt8(ascii: "4")], "found version 4"),
    (60, [0, 0, 0, 0], "test values"),
    (0, Array("mmap lm http://kheafield.com/code incomplete\n".utf8), "was not written to its end"),
    (0, [0], "expected a binary model of KenLM, found another file"),
  ]) func headersThatLieAreNamed(place: Int, other: [UInt8], problem: String) throws {
    var file = try bytes(smallModel())
    file.replaceSubrange(place..<(place + other.count), with: other)
    let error = #expect(throws: NGramModelError.self) { _ = try read(file) }
    #expect("\(error!)".contains(problem) && "\(error!)".contains("other.bin"), "\(error!)")
  }

  @Test func tablesThatLieAreNamed() throws {
    let file = try bytes(smallModel())
    let layout = try file.withUnsafeBytes { try KenLMBinary($0, "file") }
    func expect(_ problem: String, _ change: (inout [UInt8]) throws -> Void) throws {
      var other = file
      try change(&other)
      let error = #expect(throws: NGramModelError.self) { _ = try read(other) }
      #expect("\(error!)".contains(problem), "\(error!)")
    }
    func used(_ table: KenLMBinary.Table) throws -> Int {
      let place = (0..<table.buckets).first { file[table.offset + $0 * table.stride] != 0 }
      return table.offset + (try #require(place)) * table.stride
    }
    let (pairs, triples) = (layout.tables[0], layout.tables[1])
    try expect("expected 5 2-grams or some more") {
      for byte in try used(pairs)..<(try used(pairs) + 8) { $0[byte] = 0 }
    }
    try expect("none for 1 of them") { $0[try used(triples) + 3] ^= 4 }
    try expect("free place in their table") {
      for place in 0..<triples.buckets { $0[triples.offset + place * triples.stride] = UInt8(place + 1) }
    }
    try expect("what is no number") {
      $0.replaceSubrange(layout.unigrams + 8..<layout.unigrams + 12, with: [0, 0, 0xc0, 0x7f])
    }
    try expect("hashes of the words") { $0[try used(layout.words)] ^= 1 }
    try expect("hashes of the words") { $0[try place(of: "b\0<s>", in: $0)] = UInt8(ascii: "c") }
    try expect("expected 5 words") { $0[layout.wordHeader + 4] = 200 }
    try expect("<unk> as the first word") { $0[layout.strings] = UInt8(ascii: "(") }
    try expect("at the end of the file") { $0.removeLast(3) }
    try expect("bytes more") { $0 += [1, 2, 0] }
  }

  /// Whatever a file has in it, it is read or refused, and what is read can be used.
  @Test func damagedFilesDoNoHarm() throws {
    let file = try bytes(smallModel())
    var loaded = 0
    func survive(_ damaged: [UInt8]) throws {
      do {
        let model = try read(damaged)
        var state = model.sentence
        for token in 0..<Int32(model.vocabulary.count) { _ = model.score(token, after: &state) }
        _ = contents(model)
        if loaded % 32 == 0 { try model.writeKenLM(to: folder.file("again.bin")) }
        loaded += 1
      } catch is NGramModelError {}
    }
    for end in stride(from: 0, to: file.count, by: 3) { try survive(Array(file[..<end])) }
    #expect(loaded == 0)
    try forEachMutation(count: 300) { _, mutator in try survive(mutator.mutate(file)) }
    var random = SeededRandom(seed: 7)
    for _ in 0..<300 {
      var damaged = file
      damaged[Int.random(in: 88..<file.count, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
      try survive(damaged)
    }
    #expect(loaded > 50)
  }

  @Test func whatKenLMCannotHaveIsRefused() throws {
    func expect(_ problem: String, _ model: NGramModel) throws {
      let path = folder.file("refused.bin")
      let error = #expect(throws: NGramModelError.self) { try model.writeKenLM(to: path) }
      #expect("\(error!)".contains(problem), "\(error!)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }
    func unigrams(_ count: Int, _ children: [UInt32] = []) -> NGramTree.Level {
      NGramTree.Level(
        words: column([]), children: column(children), probabilities: column([Float](repeating: -1, count: count)),
        backoffs: column([Float](repeating: 0, count: children.isEmpty ? 0 : count)))
    }
    try expect("order 2 or more", model(NGramTree([unigrams(5)]), ["a"]))
    let bytes = NGramTree([
      unigrams(258, [UInt32](repeating: 0, count: 259)),
      NGramTree.Level(
        words: column([]), children: column([]), probabilities: column([]), backoffs: column([])),
    ])
    try expect(
      "expected words, found bytes", NGramModel(bytes, .bytes, NGramMetadata(order: 2, tokenizer: .bytes)))
    let words = NGramTree([unigrams(5, [0, 0, 0, 0, 0, 0])] + bytes.levels[1...])
    for word in ["<s>", "</s>", "a\0b"] { try expect("expected none that is <s>", model(words, [word])) }
    // a a a without a a before it: <s> a, and a <s> a.
    let orphan = NGramTree([
      unigrams(5, [0, 0, 0, 0, 1, 1]),
      NGramTree.Level(
        words: column([4]), children: column([0, 1]), probabilities: column([-1]), backoffs: column([0])),
      NGramTree.Level(words: column([3]), children: column([]), probabilities: column([-1]), backoffs: column([])),
    ])
    try expect("found 1 without", model(orphan, ["a"]))
  }
}
