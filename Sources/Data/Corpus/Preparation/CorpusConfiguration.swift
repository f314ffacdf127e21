/// The `corpus` section of a configuration: which text, and how it becomes tokens.
///
/// Exactly one source is given: `prepared`, or `text`, or `train`, or `sampleLines`.
public struct CorpusConfiguration: Codable, Equatable, Sendable {
  /// Text files to cut into training, validation and test part.
  public var text: PathList
  /// The fractions of `text` that become training, validation and test part, in this order; their sum is 1.
  public var split: [Double]

  /// Text files of each part, for a text that is already cut.
  public var train: PathList
  public var validation: PathList
  public var test: PathList

  /// A folder of tokens prepared earlier; all other settings are then the ones it was prepared with.
  public var prepared: String
  /// The folder where the tokens of plain text are kept.
  public var cache: String
  /// Sends the tokens from the first rank's host to others, where ranks run on several that have not got them.
  public var distribute: Bool

  public var tokenizer: TokenizerKind
  /// Words seen less often than this in the training part become `<unk>`.
  public var minimumCount: Int
  /// The most words a vocabulary may have, `<unk>` and `<eos>` included; 0 for any number.
  public var maximumVocabulary: Int
  /// A file with the words of the vocabulary, one on a line, instead of those of the training part.
  public var vocabulary: String
  /// Into how many token files each part is cut.
  public var shards: Int

  /// How many lines of the built-in sample text to make and use; 0 for none.
  public var sampleLines: Int
  /// The seed of the sample text.
  public var sampleSeed: UInt64

  public init(
    text: PathList = [], split: [Double] = [0.9, 0.05, 0.05],
    train: PathList = [], validation: PathList = [], test: PathList = [],
    prepared: String = "", cache: String = "checkpoints/.corpora", distribute: Bool = false,
    tokenizer: TokenizerKind = .words, minimumCount: Int = 1, maximumVocabulary: Int = 0,
    vocabulary: String = "", shards: Int = 1, sampleLines: Int = 0, sampleSeed: UInt64 = 1
  ) {
    self.text = text
    self.split = split
    self.train = train
    self.validation = validation
    self.test = test
    self.prepared = prepared
    self.cache = cache
    self.distribute = distribute
    self.tokenizer = tokenizer
    self.minimumCount = minimumCount
    self.maximumVocabulary = maximumVocabulary
    self.vocabulary = vocabulary
    self.shards = shards
    self.sampleLines = sampleLines
    self.sampleSeed = sampleSeed
  }
}

extension CorpusConfiguration {
  /// The texts of a part, where each has its own.
  subscript(part: CorpusPart) -> PathList {
    switch part {
    case .train: train
    case .validation: validation
    case .test: test
    }
  }

  /// Manifests that were written before there was `distribute` lack it.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      text: values.decode(PathList.self, forKey: .text), split: values.decode([Double].self, forKey: .split),
      train: values.decode(PathList.self, forKey: .train),
      validation: values.decode(PathList.self, forKey: .validation), test: values.decode(PathList.self, forKey: .test),
      prepared: values.decode(String.self, forKey: .prepared), cache: values.decode(String.self, forKey: .cache),
      distribute: values.decodeIfPresent(Bool.self, forKey: .distribute) ?? false,
      tokenizer: values.decode(TokenizerKind.self, forKey: .tokenizer),
      minimumCount: values.decode(Int.self, forKey: .minimumCount),
      maximumVocabulary: values.decode(Int.self, forKey: .maximumVocabulary),
      vocabulary: values.decode(String.self, forKey: .vocabulary), shards: values.decode(Int.self, forKey: .shards),
      sampleLines: values.decode(Int.self, forKey: .sampleLines),
      sampleSeed: values.decode(UInt64.self, forKey: .sampleSeed))
  }

  /// Throws `CorpusError` naming the key that is wrong or missing. Looks at no file.
  public func validate() throws {
    try validateSource()
    try require(
      !cache.isEmpty || !distribute, "cache", "expected a folder for the tokens that a host is sent, found none",
      remedy: "name one")
    if !prepared.isEmpty { return }
    try require(
      split.count == 3 && split.allSatisfy { $0 >= 0 } && abs(split.reduce(0, +) - 1) <= 1e-9, "split",
      "expected three fractions (train, validation, test) with the sum 1, found \(split)",
      remedy: "write for example [0.9, 0.05, 0.05]")
    try require(!cache.isEmpty, "cache", "expected a folder, found none", remedy: "name one")
    try require((1...99_999).contains(shards), "shards", "expected 1 to 99999, found \(shards)")
    try validateVocabulary()
  }

  private func validateSource() throws {
    let given = [
      ("corpus.text", !text.isEmpty), ("corpus.train", !train.isEmpty),
      ("corpus.prepared", !prepared.isEmpty), ("corpus.sampleLines", sampleLines > 0),
    ].filter(\.1).map(\.0)
    guard given.count == 1 else {
      let found = given.isEmpty ? "none" : given.joined(separator: " and ")
      throw CorpusError(
        "corpus", "expected exactly one source of text, found \(found)",
        remedy: "set one of corpus.text, corpus.train, corpus.prepared and corpus.sampleLines")
    }
    for (key, paths) in [("validation", validation), ("test", test)] where train.isEmpty {
      try require(
        paths.isEmpty, key, "expected corpus.train beside it, found \(given[0])",
        remedy: "name the training text in corpus.train")
    }
    try require(sampleLines >= 0, "sampleLines", "expected 0 or more, found \(sampleLines)")
  }

  private func validateVocabulary() throws {
    try require(minimumCount >= 1, "minimumCount", "expected 1 or more, found \(minimumCount)")
    try require(
      maximumVocabulary == 0 || maximumVocabulary > Vocabulary.specials.count, "maximumVocabulary",
      "expected 0 (any number) or more than the \(Vocabulary.specials.count) that are always there, found "
        + "\(maximumVocabulary)")
    let limited = minimumCount > 1 || maximumVocabulary > 0
    for (key, isSet) in [
      ("vocabulary", !vocabulary.isEmpty), ("minimumCount", minimumCount > 1),
      ("maximumVocabulary", maximumVocabulary > 0),
    ] where isSet {
      try require(
        tokenizer == .words, key, "expected only with words, found corpus.tokenizer \(tokenizer.rawValue)",
        remedy: "leave it out")
    }
    try require(
      vocabulary.isEmpty || !limited, "vocabulary",
      "expected either a fixed vocabulary or corpus.minimumCount and corpus.maximumVocabulary, found both",
      remedy: "leave one out")
  }

  private func require(
    _ condition: Bool, _ key: String, _ problem: String, remedy: String = "change it"
  ) throws {
    if !condition { throw CorpusError("corpus.\(key)", problem, remedy: remedy) }
  }
}
