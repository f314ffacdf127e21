import Files

/// The folder in which a host keeps tokens that were sent to it: token files as they are elsewhere, with holes for the
/// pieces that it was not sent.
///
/// Its contents are checked against the digests of the host that has the corpus, so they need no trust. It has a
/// `manifest.json`, and with it the looks of a corpus, only when every piece has been found right; before, the manifest
/// is in `partial.json`.
public final class CorpusCache {
  public let directory: String
  /// The pieces that have to be sent, in order.
  public let missing: [Int]
  /// What was wrong with what the folder held; nil if nothing was.
  public let problem: String?

  private let contents: CorpusContents
  /// Whether all pieces of the corpus are needed.
  private let isWhole: Bool
  private var file: (number: Int, file: SparseFile)?

  static let partialName = "partial.json"

  /// Where tokens for a configuration are kept: another folder for another text or other settings.
  public static func directory(for configuration: CorpusConfiguration) throws -> String {
    var asked = configuration
    asked.cache = ""
    asked.distribute = false
    return "\(configuration.cache)/sent-\(try asked.digest.prefix(12))"
  }

  /// The corpus of a configuration, if all of it was sent; nil if not. Throws `CorpusError` and `FileError` where it is
  /// damaged, which takes reading all of it, and what `meanwhile` throws.
  public static func whole(
    for configuration: CorpusConfiguration, meanwhile: () throws -> Void = {}
  ) throws -> PreparedCorpus? {
    let directory = try directory(for: configuration)
    guard FileSystem.exists("\(directory)/\(CorpusManifest.fileName)") else { return nil }
    let corpus = try PreparedCorpus(directory: directory)
    try corpus.verify(meanwhile: meanwhile)
    return corpus
  }

  /// Looks at what is there of the tokens in some ranges of each part, or of all of them. What is of another corpus, or has
  /// another size than it should, is removed. Throws `FileError`, and what `meanwhile` throws.
  public init(
    _ directory: String, _ contents: CorpusContents, needed ranges: PartMap<[Range<Int>]>?,
    meanwhile: () throws -> Void = {}
  ) throws {
    self.directory = directory
    self.contents = contents
    try FileSystem.createDirectory(directory, permissions: contents.permissions.folder)
    var problem = try Self.removeForeign(directory, contents.manifest)
    contents.permissions.restrict(directory)
    let needed = contents.pieces.holding(ranges)
    isWhole = needed.count == contents.pieces.count
    var missing: [Int] = []
    for file in contents.pieces.files {
      let own = needed.filter(file.pieces.contains)
      if own.isEmpty { continue }
      let (lacking, wrong) = try Self.look(
        "\(directory)/\(file.shard.file)", file, own, contents.pieces, meanwhile)
      missing += lacking
      problem = problem ?? wrong
    }
    self.missing = missing
    let vocabulary = "\(directory)/\(contents.manifest.vocabulary.file)"
    let hasVocabulary =
      try FileSystem.exists(vocabulary)
      && MappedFile.withBytes(of: vocabulary) { $0.elementsEqual(contents.vocabulary) }
    self.problem = problem
    // From here on it is not whole, whatever it was.
    if !missing.isEmpty || !hasVocabulary || !FileSystem.exists("\(directory)/\(CorpusManifest.fileName)") {
      try begin()
    }
  }

  /// Empties a folder that holds something else. Returns what it was.
  private static func removeForeign(_ directory: String, _ manifest: CorpusManifest) throws -> String? {
    let names = try FileSystem.list(directory)
    if names.isEmpty { return nil }
    var problem: String
    let name = names.contains(CorpusManifest.fileName) ? CorpusManifest.fileName : partialName
    do {
      let found = try MappedFile.withBytes(of: "\(directory)/\(name)") {
        try CorpusManifest(json: .init($0), path: "\(directory)/\(name)")
      }
      if found.fingerprint == manifest.fingerprint { return nil }
      problem = "\(directory) held other tokens, \(found.fingerprint.prefix(12))"
    } catch {
      problem = "\(directory) had no manifest that can be read: \(error)"
    }
    for name in names { try FileSystem.remove("\(directory)/\(name)") }
    return problem
  }

  /// Which pieces a token file lacks, and what is wrong with it.
  private static func look(
    _ path: String, _ file: TokenPieces.File, _ needed: [Int], _ all: TokenPieces, _ meanwhile: () throws -> Void
  ) throws -> (lacking: [Int], problem: String?) {
    guard FileSystem.exists(path) else { return (needed, nil) }
    let mapped = try MappedFile(path)
    return try withExtendedLifetime(mapped) {
      guard mapped.bytes.count == file.format.fileSize, mapped.bytes.starts(with: file.format.header) else {
        let size = mapped.bytes.count
        try FileSystem.remove(path)
        return (
          needed,
          "\(path) was cut short or changed: expected \(file.format.fileSize) bytes with a header, found \(size)"
        )
      }
      var damaged = 0
      let lacking = try needed.filter { piece in
        try meanwhile()
        let bytes = UnsafeRawBufferPointer(rebasing: mapped.bytes[file.bytes(of: piece)])
        defer { mapped.release(file.bytes(of: piece)) }
        if all.matches(bytes, piece) { return false }
        // A hole is none.
        if bytes.contains(where: { $0 != 0 }) { damaged += 1 }
        return true
      }
      return (
        lacking, damaged > 0 ? "\(path) was damaged in \(damaged) of \(counted(file.pieces.count, "piece"))" : nil
      )
    }
  }

  private func begin() throws {
    let whole = "\(directory)/\(CorpusManifest.fileName)"
    if FileSystem.exists(whole) { try FileSystem.remove(whole) }
    let permissions = contents.permissions.file
    try OutputFile.replace("\(directory)/\(Self.partialName)", permissions: permissions) {
      try $0.write(contents.manifest.json())
    }
    try OutputFile.replace("\(directory)/\(contents.manifest.vocabulary.file)", permissions: permissions) {
      try $0.write(contents.vocabulary)
    }
  }

  /// Puts the pieces of a message where they belong. Throws `CorpusError` for bytes that are not theirs, and `FileError`.
  public func write(_ bytes: [UInt8], _ pieces: Range<Int>) throws {
    let origin = contents.pieces.file(of: pieces.lowerBound)
    let path = "\(directory)/\(origin.shard.file)"
    let start = origin.bytes(of: pieces.lowerBound).lowerBound
    try bytes.withUnsafeBytes { bytes in
      for piece in pieces {
        let range = origin.bytes(of: piece)
        guard range.upperBound - start <= bytes.count,
          contents.pieces.matches(
            UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound - start..<range.upperBound - start]), piece)
        else {
          throw CorpusError(
            path,
            "the tokens of bytes \(range.lowerBound) to \(range.upperBound) arrived with another SHA-256 than was sent",
            remedy: "start again, and look at the network and memory of both hosts if it comes back")
        }
      }
      try open(origin, path).write(bytes, at: start)
    }
  }

  private func open(_ origin: TokenPieces.File, _ path: String) throws -> SparseFile {
    if let file, file.number == origin.firstPiece { return file.file }
    try file?.file.synchronize()
    let opened = try SparseFile(path, size: origin.format.fileSize, permissions: contents.permissions.file)
    try origin.format.header.withUnsafeBytes { try opened.write($0, at: 0) }
    file = (origin.firstPiece, opened)
    return opened
  }

  /// Opens it, when all that was missing is written.
  public func finish() throws -> PreparedCorpus {
    try file?.file.synchronize()
    file = nil
    let whole = "\(directory)/\(CorpusManifest.fileName)"
    if isWhole, !FileSystem.exists(whole) {
      try FileSystem.rename("\(directory)/\(Self.partialName)", to: whole)
      try FileSystem.synchronizeDirectory(directory)
    }
    return try Self.open(directory, contents)
  }

  /// Opens what another process of this host has put there.
  public static func open(_ directory: String, _ contents: CorpusContents) throws -> PreparedCorpus {
    try PreparedCorpus(received: directory, contents)
  }
}
