import Files
import Foundation

/// The files a configuration asks for, found on disk: absolute paths, folders replaced by their files.
struct CorpusSources {
  /// The configuration that decides the tokens: paths resolved, nothing in it about where they are kept.
  let settings: CorpusConfiguration
  /// All files that will be read, as they are now.
  let files: [CorpusManifest.SourceFile]
  /// Whether every text lies beside a list of its lines' probabilities that applies to the parts.
  let haveProbabilities: Bool
  /// A readable name for the whole, after the first text.
  let stem: String
  /// What is to be told of the folders that were named.
  let notes: [String]
  /// What could be read only once, by the names that `settings` has for it.
  private let copies: [String: InputFile]
  private let statuses: [FileStatus]

  /// Throws `FileError` for a file that is not there and `CorpusError` for a folder without files. What can be read only once
  /// is copied, for as long as this value lives, to a file in `temporaryFolder`; without one it is a `CorpusError`.
  /// `progress` is told how many bytes of one were copied.
  init(
    _ configuration: CorpusConfiguration, temporaryFolder: String? = nil,
    progress: @escaping (Int) throws -> Void = { _ in }
  ) throws {
    var finder = SourceFinder(temporaryFolder: temporaryFolder, progress: progress)
    var settings = configuration
    settings.prepared = ""
    settings.cache = ""
    settings.distribute = false
    settings.text = try finder.find(configuration.text, "corpus.text")
    settings.train = try finder.find(configuration.train, "corpus.train")
    settings.validation = try finder.find(configuration.validation, "corpus.validation")
    settings.test = try finder.find(configuration.test, "corpus.test")
    if !configuration.vocabulary.isEmpty {
      settings.vocabulary = try finder.findFile(configuration.vocabulary, "corpus.vocabulary")
    }
    let copies = finder.copies
    self.settings = settings
    self.copies = copies
    notes = finder.notes

    let texts = [settings.text, settings.train, settings.validation, settings.test].flatMap(\.paths)
    // Only words are cut at line ends, so only their parts are made of whole lines.
    let probabilities = texts.map(LineProbabilities.path(beside:))
    haveProbabilities = settings.tokenizer == .words && copies.isEmpty && probabilities.allSatisfy(FileSystem.exists)

    var read = texts
    if haveProbabilities { read += probabilities }
    if !settings.vocabulary.isEmpty { read.append(settings.vocabulary) }
    statuses = try read.map { try FileSystem.status(copies[$0]?.path ?? $0) }
    files = zip(read, statuses).map { CorpusManifest.SourceFile(path: $0, bytes: $1.size, modified: $1.modified) }
    stem = withoutExtension(FileSystem.name(of: (configuration.text.paths + configuration.train.paths)[0]))
  }

  /// The name of the folder that keeps these tokens: another for other settings or paths.
  func folderName() throws -> String {
    "\(stem)-\(try settings.digest.prefix(12))"
  }

  /// What others may do with what is made of these files in a folder.
  func permissions(in directory: String) -> TextPermissions {
    // Nobody but this process can open a copy.
    TextPermissions(
      of: zip(files, statuses).filter { copies[$0.0.path] == nil }.map(\.1),
      group: TextPermissions.group(ofNewFilesIn: directory))
  }

  /// The texts of the parts.
  func parts() throws -> PartMap<[TextStretch]> {
    if settings.train.isEmpty { return try split(settings.text.paths.map(text)) }
    return try PartMap(train: settings.train, validation: settings.validation, test: settings.test).map {
      try $1.paths.map(text)
    }
  }

  private func text(_ path: String) throws -> TextStretch {
    try TextStretch(wholeOf: copies[path]?.path ?? path, name: path)
  }

  /// The fixed vocabulary, if one is named.
  func vocabulary() throws -> Vocabulary? {
    let path = settings.vocabulary
    return path.isEmpty ? nil : try Vocabulary(wordFile: copies[path]?.path ?? path, name: path)
  }

  // MARK: Split

  /// Cuts the files, taken as one text, at the fractions of `settings.split`.
  private func split(_ files: [TextStretch]) throws -> PartMap<[TextStretch]> {
    let total = files.reduce(0) { $0 + $1.range.count }
    let whole = settings.split.reduce(0, +)
    let first = settings.split[0] / whole
    let second = (settings.split[0] + settings.split[1]) / whole
    let cuts = try [first, second].map { try cut(files, at: min(total, Int($0 * Double(total)))) }
    return PartMap(
      train: stretches(of: files, in: 0..<cuts[0]),
      validation: stretches(of: files, in: cuts[0]..<cuts[1]),
      test: stretches(of: files, in: cuts[1]..<total))
  }

  /// The first place at or after a byte offset where the tokenizer lets a text be cut: behind a line end for
  /// words, between two characters, anywhere between bytes. The end of a file is always one.
  private func cut(_ files: [TextStretch], at offset: Int) throws -> Int {
    var start = 0
    for file in files {
      let local = offset - start
      if local > 0 && local < file.range.count {
        return start + (try MappedFile.withBytes(of: file.path) { cut($0, at: local) })
      }
      start += file.range.count
    }
    return offset
  }

  private func cut(_ text: UnsafeRawBufferPointer, at offset: Int) -> Int {
    switch settings.tokenizer {
    case .bytes: offset
    case .characters: text[offset...].firstIndex { $0 & 0xC0 != 0x80 } ?? text.count
    case .words: text[(offset - 1)...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? text.count
    }
  }

  /// The part of each file that lies in a range of the text they make up together.
  private func stretches(of files: [TextStretch], in range: Range<Int>) -> [TextStretch] {
    var start = 0
    var result: [TextStretch] = []
    for file in files {
      let local = range.clamped(to: start..<start + file.range.count)
      if !local.isEmpty {
        result.append(
          TextStretch(path: file.path, name: file.name, range: local.lowerBound - start..<local.upperBound - start))
      }
      start += file.range.count
    }
    return result
  }
}

/// A path without the last part's extension: "a/b.txt" gives "a/b"; ".txt" stays.
func withoutExtension(_ path: String) -> String {
  let name = FileSystem.name(of: path)
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return path }
  return String(path.dropLast(name[dot...].count))
}

extension CorpusConfiguration {
  /// Another for other settings.
  var digest: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      var digest = Digest()
      try encoder.encode(self).withUnsafeBytes { digest.update($0) }
      return digest.hex()
    }
  }
}
