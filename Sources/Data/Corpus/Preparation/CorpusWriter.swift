import Files

/// Writes the folder of a prepared corpus, in two passes over the text: the first counts the tokens and makes
/// the vocabulary, the second writes the tokens. The manifest comes last.
struct CorpusWriter {
  let sources: CorpusSources
  let parts: PartMap<[TextStretch]>
  let directory: String
  let permissions: TextPermissions
  let progress: (PreparationProgress) throws -> Void
  /// Told what is odd about the text.
  let warn: (String) -> Void

  private var settings: CorpusConfiguration { sources.settings }

  func write() throws {
    let (vocabulary, tokens) = try survey()
    guard tokens.train > 0 else {
      throw CorpusError(
        "training text", "expected at least one token, found none in \(trainingFiles)",
        remedy: settings.train.isEmpty
          ? "give more text, or a larger first number in corpus.split"
          : "name files with text in corpus.train")
    }
    for part in [CorpusPart.validation, .test] { try requireTokens(tokens[part], of: part) }
    let vocabularyFile = try write(vocabulary)
    let meter = Meter(.encoding, of: parts, progress)
    let tokenizer = Tokenizer(vocabulary: vocabulary)
    let manifestParts = try parts.map { part, text in
      try encode(text, as: part, tokens: tokens[part], tokenizer, meter)
    }
    let manifest = CorpusManifest(
      settings: settings, sources: sources.files, vocabulary: vocabularyFile, parts: manifestParts)
    try manifest.write(to: directory, permissions)
  }

  private var trainingFiles: String {
    (settings.train.isEmpty ? settings.text : settings.train).paths.joined(separator: ", ")
  }

  /// A text that was named for a part has something to predict.
  private func requireTokens(_ tokens: Int, of part: CorpusPart) throws {
    let texts = settings[part]
    guard !texts.isEmpty, tokens < CorpusManifest.fewestTokens else { return }
    throw CorpusError(
      "corpus.\(part.rawValue)",
      "expected at least \(CorpusManifest.fewestTokens) tokens, one to read and one to predict, found \(tokens) in "
        + texts.paths.joined(separator: ", "), remedy: "name a text with more, or leave corpus.\(part.rawValue) out")
  }

  // MARK: First pass

  private func survey() throws -> (Vocabulary, tokens: PartMap<Int>) {
    let fixed = try sources.vocabulary()
    let meter = Meter(.surveying, of: parts, progress)
    var survey = TextSurvey(settings.tokenizer)
    let tokens = try parts.map { part, text in
      // Words come from the training part only: that the others have unseen ones is part of the test.
      try survey.read(text, gatherWords: part == .train && fixed == nil, progress: meter.advance)
    }
    if let warning = try survey.warning { warn(warning) }
    let vocabulary =
      try fixed
      ?? survey.vocabulary(
        minimumCount: settings.minimumCount, maximumSize: settings.maximumVocabulary,
        meanwhile: { try meter.advance(by: 0) })
    guard settings.minimumCount == 1 || vocabulary.count > Vocabulary.specials.count else {
      throw CorpusError(
        "corpus.minimumCount",
        "expected a word that is seen \(settings.minimumCount) times, found none in \(trainingFiles)",
        remedy: "make it smaller")
    }
    return (vocabulary, tokens)
  }

  private func write(_ vocabulary: Vocabulary) throws -> CorpusManifest.VocabularyFile {
    let name = "vocabulary.json"
    let json = try vocabulary.json()
    let file = try OutputFile("\(directory)/\(name)", permissions: permissions.file)
    try file.write(json)
    try file.finish()
    var digest = Digest()
    json.withUnsafeBytes { digest.update($0) }
    return CorpusManifest.VocabularyFile(file: name, size: vocabulary.count, sha256: digest.hex())
  }

  // MARK: Second pass

  private func encode(
    _ text: [TextStretch], as part: CorpusPart, tokens expected: Int, _ tokenizer: Tokenizer, _ meter: Meter
  ) throws -> CorpusManifest.Part {
    let writer = TokenFileWriter(
      directory: directory, part: part, tokens: expected, shards: settings.shards,
      vocabularySize: tokenizer.vocabulary.count, permissions: permissions)
    var unknown = 0
    for stretch in text {
      try tokenizer.encode(stretch) { tokens, text in
        guard tokens.count <= expected - writer.written else { throw changed(stretch.name) }
        if settings.tokenizer == .words { unknown += tokens.count { $0 == Vocabulary.unknown } }
        try writer.write(tokens)
        try meter.advance(by: text.count)
      }
    }
    guard writer.written == expected else { throw changed(text.map(\.name).joined(separator: ", ")) }
    return CorpusManifest.Part(
      tokens: expected, unknownTokens: unknown, sourceNats: try sourceNats(text, meter), shards: writer.finish())
  }

  private func sourceNats(_ text: [TextStretch], _ meter: Meter) throws -> Double? {
    guard sources.haveProbabilities else { return nil }
    return try text.reduce(0) { sum, stretch in
      try sum + LineProbabilities(beside: stretch.path) { try meter.advance(by: 0) }.nats(of: stretch)
    }
  }

  private func changed(_ name: String) -> CorpusError {
    CorpusError(
      name, "expected the same text in both passes, found another number of tokens",
      remedy: "start again when nothing writes to it")
  }
}

/// Adds up the bytes of one pass and reports them.
private final class Meter {
  private var state: PreparationProgress
  private let report: (PreparationProgress) throws -> Void

  init(
    _ phase: PreparationProgress.Phase, of parts: PartMap<[TextStretch]>,
    _ report: @escaping (PreparationProgress) throws -> Void
  ) {
    let total = parts.all.joined().reduce(0) { $0 + $1.range.count }
    state = PreparationProgress(phase: phase, done: 0, total: total)
    self.report = report
  }

  func advance(by bytes: Int) throws {
    state.done += bytes
    try report(state)
  }
}
