import Corpus
import Foundation
import NGramModels
import TestSupport
import Testing

@testable import NGrams

/// Modified Kneser-Ney smoothing against KenLM's lmplz: every n-gram, and nothing else.
@Suite struct KenLMTests {
  private static let goldens = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Goldens")

  private typealias NGrams = [String: (probability: Float, backoff: Float?)]

  private static func ngrams(_ model: NGramModel, order: Int) -> NGrams {
    var all: NGrams = [:]
    let words = (0..<Int32(model.vocabulary.count)).map {
      String(decoding: model.vocabulary.bytes(of: $0), as: UTF8.self)
    }
    model.forEach(order: order) { ngram, probability, backoff in
      if ngram[0] == 0 { return }
      let names = ngram.map { Int($0) > words.count ? "<s>" : words[Int($0) - 1] }
      all[names.joined(separator: " ")] = (probability, backoff)
    }
    return all
  }

  @Test func everyNGramIsKenLMs() throws {
    let folder = try TemporaryFolder()
    var corpus = CorpusConfiguration()
    corpus.train = [Self.goldens.appendingPathComponent("ngrams.txt").path]
    corpus.sampleLines = 0
    let prepared = try CorpusPreparation.prepare(corpus, into: folder.file("tokens"))
    var settings = NGramSettings()
    settings.order = 4
    let own = try NGramTraining.model(of: prepared, settings)
    let kenLM = try ARPAReader.read(Self.goldens.appendingPathComponent("ngrams-kenlm-4.arpa.gz").path)
    #expect(own.counts == kenLM.counts)
    #expect(own.metadata.warnings.isEmpty)
    for order in 1...4 {
      let (ours, theirs) = (Self.ngrams(own, order: order), Self.ngrams(kenLM, order: order))
      #expect(Set(ours.keys) == Set(theirs.keys))
      for (ngram, expected) in theirs where ngram != "<s>" {
        let found = try #require(ours[ngram])
        #expect(abs(found.probability - expected.probability) <= 1e-6, "\(ngram): \(found), \(expected)")
        #expect(abs((found.backoff ?? 0) - (expected.backoff ?? 0)) <= 1e-6, "\(ngram): \(found), \(expected)")
      }
      #expect(abs((ours["<s>"]?.backoff ?? 0) - (theirs["<s>"]?.backoff ?? 0)) <= 1e-6)
    }
    // Discounts as lmplz prints them.
    let printed: [[Double]] = [
      [0.375723, 1.47816, 1.91792], [0.696903, 1.46588, 1.88496], [0.874092, 1.63019, 1.41074],
      [0.951411, 1.72378, 0.462905],
    ]
    for (ours, theirs) in zip(own.metadata.discounts, printed) {
      for (one, other) in zip(ours, theirs) { #expect(abs(one - other) < 1e-5) }
    }
  }
}
