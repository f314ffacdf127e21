import Files

/// Makes token files of text, once.
///
/// Tokens of plain text are kept in a folder under `cache`, named after the first text and a digest of the
/// settings and paths. They are used again while every source has the size and time of change it had, and
/// made again otherwise. Let one process open a corpus and tell the others `PreparedCorpus.directory`.
public enum CorpusPreparation {
  /// Opens the corpus a configuration describes, preparing it if that has not been done.
  ///
  /// `progress` is called after every few megabytes, and may throw to end it: nothing of it is left then. `warn` is told what is
  /// odd about the texts (what is odd about the tokens, their manifest tells). Throws `CorpusError` for settings and texts with
  /// faults, `FileError` for files that cannot be read or written, and `PackedFileError`.
  public static func open(
    _ configuration: CorpusConfiguration, progress: @escaping (PreparationProgress) throws -> Void = { _ in },
    warn: @escaping (String) -> Void = { _ in }
  ) throws -> PreparedCorpus {
    try configuration.validate()
    if !configuration.prepared.isEmpty { return try PreparedCorpus(directory: configuration.prepared) }
    let sources = try findSources(configuration, progress)
    sources.notes.forEach(warn)
    let directory = "\(configuration.cache)/\(try sources.folderName())"
    if let corpus = current(directory, sources) {
      // The text may have been closed to others since, or the tokens be of an older version.
      sources.permissions(in: FileSystem.parent(of: directory)).restrict(directory)
      return corpus
    }
    return try make(sources, into: directory, progress, warn) { current(directory, sources) != nil }
  }

  /// Whether neither the text nor the tokens that a configuration names are on this host.
  public static func isMissing(_ configuration: CorpusConfiguration) -> Bool {
    if !configuration.prepared.isEmpty {
      return !FileSystem.exists("\(configuration.prepared)/\(CorpusManifest.fileName)")
    }
    let texts = [configuration.text, configuration.train, configuration.validation, configuration.test]
    // Standard input is there: what opens it says why it cannot serve.
    return !texts.flatMap(\.paths).allSatisfy { ["", "-"].contains($0) || FileSystem.exists($0) }
  }

  /// The corpus of a configuration, if all of it is on this host already: under the path it names, made of its text, or
  /// sent here. Nothing is prepared, and token files are not looked at: see `PreparedCorpus.verify`.
  public static func find(_ configuration: CorpusConfiguration) throws -> PreparedCorpus? {
    try configuration.validate()
    if !isMissing(configuration) {
      if !configuration.prepared.isEmpty { return try PreparedCorpus(directory: configuration.prepared) }
      if let sources = try existingSources(configuration),
        let corpus = current("\(configuration.cache)/\(try sources.folderName())", sources)
      {
        return corpus
      }
    }
    let sent = try CorpusCache.directory(for: configuration)
    guard FileSystem.exists("\(sent)/\(CorpusManifest.fileName)") else { return nil }
    return try PreparedCorpus(directory: sent)
  }

  /// Prepares the text a configuration describes into a folder of the caller's choice, in place of tokens
  /// prepared there before. A text may be standard input ("-"), a pipe or a device: it is copied to a temporary file beside the
  /// folder, or where `TMPDIR` says. Throws as `open` does, and for a folder that holds anything else.
  public static func prepare(
    _ configuration: CorpusConfiguration, into directory: String,
    progress: @escaping (PreparationProgress) throws -> Void = { _ in }, warn: @escaping (String) -> Void = { _ in }
  ) throws -> PreparedCorpus {
    try configuration.validate()
    guard configuration.prepared.isEmpty else {
      throw CorpusError(
        "corpus.prepared", "expected text to prepare, found tokens", remedy: "set corpus.text instead")
    }
    if FileSystem.exists(directory), try !FileSystem.list(directory).isEmpty,
      !FileSystem.exists("\(directory)/\(CorpusManifest.fileName)")
    {
      throw CorpusError(
        directory, "expected a new or empty folder or one of prepared tokens, found other files",
        remedy: "name another folder")
    }
    let sources = try findSources(configuration, temporaryFolder: FileSystem.parent(of: directory), progress)
    sources.notes.forEach(warn)
    return try make(sources, into: directory, progress, warn) { false }
  }

  /// Prepares the text a configuration describes for as long as `body` reads it: tokens lie in a folder beside a file, and go
  /// with the call. Throws as `prepare` does, and what `body` throws.
  public static func withTokens<Result>(
    _ configuration: CorpusConfiguration, beside path: String,
    progress: @escaping (PreparationProgress) throws -> Void = { _ in }, warn: @escaping (String) -> Void = { _ in },
    body: (PreparedCorpus) throws -> Result
  ) throws -> Result {
    let folder = try StagingFolder(for: path + ".tokens")
    return try withExtendedLifetime(folder) {
      try body(prepare(configuration, into: folder.path, progress: progress, warn: warn))
    }
  }

  private static func findSources(
    _ configuration: CorpusConfiguration, temporaryFolder: String? = nil,
    _ progress: @escaping (PreparationProgress) throws -> Void
  ) throws -> CorpusSources {
    let existing = try existingSources(configuration, temporaryFolder) {
      try progress(PreparationProgress(phase: .copying, done: $0, total: 0))
    }
    if let existing { return existing }
    let lines = configuration.sampleLines
    let folder = sampleFolder(configuration)
    let staging = try StagingFolder(for: folder)
    try SampleText.write(lines: lines, seed: configuration.sampleSeed, to: staging.path) {
      try progress(PreparationProgress(phase: .sampling, done: $0, total: lines))
    }
    try staging.publish { FileSystem.exists(SampleText.path(in: folder)) }
    return try CorpusSources(withSample(configuration))
  }

  /// Nil where the sample text has not been made yet.
  private static func existingSources(
    _ configuration: CorpusConfiguration, _ temporaryFolder: String? = nil,
    _ progress: @escaping (Int) throws -> Void = { _ in }
  ) throws -> CorpusSources? {
    guard configuration.sampleLines > 0 else {
      return try CorpusSources(configuration, temporaryFolder: temporaryFolder, progress: progress)
    }
    let configuration = withSample(configuration)
    return FileSystem.exists(configuration.text.paths[0]) ? try CorpusSources(configuration) : nil
  }

  private static func sampleFolder(_ configuration: CorpusConfiguration) -> String {
    "\(configuration.cache)/sample-\(configuration.sampleLines)-lines-seed-\(configuration.sampleSeed)"
  }

  private static func withSample(_ configuration: CorpusConfiguration) -> CorpusConfiguration {
    var configuration = configuration
    configuration.text = [SampleText.path(in: sampleFolder(configuration))]
    return configuration
  }

  /// The tokens in a folder, if they are what these sources would give now.
  private static func current(_ directory: String, _ sources: CorpusSources) -> PreparedCorpus? {
    // A folder that cannot be opened is simply made again.
    guard let corpus = try? PreparedCorpus(directory: directory),
      corpus.manifest.settings == sources.settings, corpus.manifest.sources == sources.files
    else { return nil }
    return corpus
  }

  private static func make(
    _ sources: CorpusSources, into directory: String, _ progress: @escaping (PreparationProgress) throws -> Void,
    _ warn: @escaping (String) -> Void, keepsOther: () -> Bool
  ) throws -> PreparedCorpus {
    let permissions = sources.permissions(in: FileSystem.parent(of: directory))
    let staging = try StagingFolder(for: directory, permissions: permissions.folder)
    let writer = CorpusWriter(
      sources: sources, parts: try sources.parts(), directory: staging.path, permissions: permissions,
      progress: progress, warn: warn)
    try writer.write()
    try staging.publish(keepsOther: keepsOther)
    return try PreparedCorpus(directory: directory)
  }
}
