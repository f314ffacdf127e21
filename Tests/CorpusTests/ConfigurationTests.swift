import Foundation
import TestSupport
import Testing

@testable import Corpus

@Suite struct ConfigurationTests {
  @Test func pathsAreOneStringOrAList() throws {
    let decoder = JSONDecoder()
    #expect(try decoder.decode(PathList.self, from: Data("\"a b\"".utf8)) == ["a b"])
    #expect(try decoder.decode(PathList.self, from: Data("[\"a\", \"b\"]".utf8)) == ["a", "b"])
    #expect(try JSONEncoder().encode(PathList(["a"])) == Data("[\"a\"]".utf8))
    #expect(throws: DecodingError.self) { try decoder.decode(PathList.self, from: Data("3".utf8)) }
  }

  @Test func aConfigurationGoesThereAndBack() throws {
    let configuration = CorpusConfiguration(train: ["a"], test: ["b", "c"], shards: 3, sampleSeed: .max)
    let data = try JSONEncoder().encode(configuration)
    #expect(try JSONDecoder().decode(CorpusConfiguration.self, from: data) == configuration)
  }

  @Test func goodOnesPass() throws {
    try CorpusConfiguration(text: ["a"]).validate()
    try CorpusConfiguration(text: ["a"], split: [1, 0, 0]).validate()
    try CorpusConfiguration(train: ["a"], validation: ["b"]).validate()
    try CorpusConfiguration(prepared: "a").validate()
    try CorpusConfiguration(sampleLines: 10).validate()
    try CorpusConfiguration(text: ["a"], vocabulary: "v").validate()
    try CorpusConfiguration(text: ["a"], minimumCount: 3, maximumVocabulary: 3).validate()
  }

  @Test(arguments: [
    (CorpusConfiguration(), "corpus.text, corpus.train, corpus.prepared and corpus.sampleLines"),
    (CorpusConfiguration(text: ["a"], train: ["b"]), "found corpus.text and corpus.train"),
    (CorpusConfiguration(text: ["a"], sampleLines: 3), "found corpus.text and corpus.sampleLines"),
    (CorpusConfiguration(text: ["a"], validation: ["b"]), "corpus.validation: expected corpus.train"),
    (CorpusConfiguration(test: ["b"], prepared: "a"), "corpus.test: expected corpus.train"),
    (CorpusConfiguration(text: ["a"], split: [0.9, 0.1]), "corpus.split: expected three"),
    (CorpusConfiguration(text: ["a"], split: [0.9, 0.1, 0.1]), "corpus.split: expected three"),
    (CorpusConfiguration(text: ["a"], split: [1.1, -0.1, 0]), "corpus.split: expected three"),
    (CorpusConfiguration(text: ["a"], split: [.nan, 1, 0]), "corpus.split: expected three"),
    (CorpusConfiguration(text: ["a"], cache: ""), "corpus.cache"),
    (CorpusConfiguration(text: ["a"], shards: 0), "corpus.shards"),
    (CorpusConfiguration(text: ["a"], minimumCount: 0), "corpus.minimumCount"),
    (CorpusConfiguration(text: ["a"], maximumVocabulary: 2), "corpus.maximumVocabulary"),
    (
      CorpusConfiguration(text: ["a"], tokenizer: .bytes, minimumCount: 2),
      "corpus.minimumCount: expected only"
    ),
    (
      CorpusConfiguration(text: ["a"], tokenizer: .characters, vocabulary: "v"),
      "corpus.vocabulary: expected only"
    ),
    (
      CorpusConfiguration(text: ["a"], minimumCount: 2, vocabulary: "v"), "corpus.vocabulary: expected either"
    ),
    (CorpusConfiguration(text: ["a"], sampleLines: -1), "corpus.sampleLines"),
  ])
  func badOnesNameTheirKey(configuration: CorpusConfiguration, part: String) {
    expectError(part) { try configuration.validate() }
  }
}
