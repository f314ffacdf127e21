import Corpus
import Files
import Foundation
import HDF5Files
import TestSupport
import Testing

@testable import NGramModels

@Suite struct NGramModelTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func column<Number: BitwiseCopyable>(_ numbers: [Number]) -> Column<Number> {
    let column = Column<Number>(numbers.count)
    _ = column.numbers.update(fromContentsOf: numbers)
    return column
  }

  /// Of the words a and b: words are 1 <unk>, 2 <eos>, 3 a, 4 b, 5 <s>.
  private func model() throws -> NGramModel {
    let tree = NGramTree([
      NGramTree.Level(
        words: column([]), children: column([0, 0, 0, 1, 3, 5, 5]),
        probabilities: column([-99, -2, -1, -0.5, -0.75, 0]), backoffs: column([0, 0, 0, -0.25, -0.5, -0.125])),
      // b </s>; <s> a, b a; a b, b b
      NGramTree.Level(
        words: column([4, 4, 5, 3, 4]), children: column([]), probabilities: column([-0.1, -0.3, -0.2, -0.4, -0.6]),
        backoffs: column([])),
    ])
    let vocabulary = try Vocabulary(kind: .words, entries: ["<unk>", "<eos>", "a", "b"])
    return try NGramModel(tree, vocabulary, NGramMetadata(order: 2, tokenizer: .words, smoothing: "by hand"))
  }

  private func score(_ model: NGramModel, _ tokens: [Int32]) -> [Float] {
    var state = model.sentence
    return tokens.map { model.score($0, after: &state).log10 }
  }

  @Test func aFileHasTheModel() throws {
    let model = try model()
    let path = folder.file("model.ngrams")
    try model.write(to: path)
    let again = try NGramModel(path)
    #expect(again.metadata == model.metadata && again.vocabulary == model.vocabulary && again.counts == [5, 5])
    // a after <s>, b after a, the end after b; then a sentence again, with what was not seen.
    let expected: [Float] = [-0.2, -0.4, -0.1, -0.125 + -0.75, -0.6, -0.5 + -2, -0.5]
    #expect(score(again, [2, 3, 1, 3, 3, 0, 2]) == expected)
    #expect(score(model, [2, 3, 1, 3, 3, 0, 2]) == expected)
    try NGramModel.verify(path)
    // Many at once, in pieces of any size.
    let tokens: [Int32] = (0..<30).flatMap { _ in [2, 3, 1, 3, 3, 0, 2] as [Int32] }
    let alone = score(model, tokens)
    for size in [1, 2, 31, 32, 33, 210] {
      var state = model.sentence
      var all: [Float] = []
      for start in stride(from: 0, to: tokens.count, by: size) {
        let piece = Array(tokens[start..<min(start + size, tokens.count)])
        var (results, orders) = ([Float](repeating: 0, count: size), [UInt8](repeating: 0, count: size))
        piece.withUnsafeBufferPointer { piece in
          results.withUnsafeMutableBufferPointer { results in
            orders.withUnsafeMutableBufferPointer { model.score(piece, after: &state, results, orders: $0) }
          }
        }
        all += results.prefix(piece.count)
      }
      #expect(all == alone, "\(size)")
    }
  }

  @Test func damagedFilesAreNamed() throws {
    let path = folder.file("model.ngrams")
    try model().write(to: path)
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    var random = SeededRandom(seed: 1)
    for _ in 0..<500 {
      var damaged = bytes
      if Bool.random(using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] ^=
          UInt8(1) << UInt8.random(in: 0..<8, using: &random)
      } else {
        damaged = Array(damaged[..<Int.random(in: 0..<damaged.count, using: &random)])
      }
      let other = try folder.write("damaged.ngrams", damaged)
      #expect(throws: (any Error).self) { _ = try NGramModel(other) }
    }
  }

  /// Files whose digest is right and whose numbers are not: forged, or of a program with a fault. More of them:
  /// `LOCKSTEP_MUTATIONS=50000 launch/test --filter NGramModelTests`.
  @Test func forgedNumbersLeadNowhere() throws {
    let path = folder.file("model.ngrams")
    try model().write(to: path)
    let data = Array(try Data(contentsOf: URL(fileURLWithPath: path)).dropFirst(ContainerHeader.size))
    var (loaded, count) = (0, 0)
    try forEachMutation(count: 2000) { _, mutator in
      count += 1
      let forged = mutator.mutate(data)
      let header = forged.withUnsafeBytes { ContainerHeader(kind: NGramModel.kind, formatVersion: 1, data: $0) }
      let other = try folder.write("forged.ngrams", header.encoded() + forged)
      guard let model = try? NGramModel(other) else { return }
      loaded += 1
      _ = score(model, [0, 1, 2, 3, 3, 2].filter { $0 < model.vocabulary.count })
      _ = model.checkSums(contexts: 20)
    }
    #expect(loaded > count / 20)
  }

  @Test func otherFilesAreRefused() throws {
    #expect(throws: HDF5Error.self) { _ = try NGramModel(folder.write("text", "no model")) }
    #expect(throws: FileError.self) { _ = try NGramModel(folder.file("missing")) }
  }
}
