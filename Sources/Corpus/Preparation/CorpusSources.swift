import Files
import Foundation
import Glibc

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

  /// Throws `FileError` for a file that is not there and `CorpusError` for a folder without files.
  init(_ configuration: CorpusConfiguration) throws {
    var settings = configuration
    settings.prepared = ""
    settings.cache = ""
    settings.distribute = false
    settings.text = try CorpusSources.resolve(configuration.text)
    settings.train = try CorpusSources.resolve(configuration.train)
    settings.validation = try CorpusSources.resolve(configuration.validation)
    settings.test = try CorpusSources.resolve(configuration.test)
    if !configuration.vocabulary.isEmpty {
      settings.vocabulary = try CorpusSources.absolute(configuration.vocabulary)
    }
    self.settings = settings

    let texts = [settings.text, settings.train, settings.validation, settings.test].flatMap(\.paths)
    // Only words are cut at line ends, so only their parts are made of whole lines.
    let probabilities = texts.map(LineProbabilities.path(beside:))
    haveProbabilities = settings.tokenizer == .words && probabilities.allSatisfy(FileSystem.exists)

    var read = texts
    if haveProbabilities { read += probabilities }
    if !settings.vocabulary.isEmpty { read.append(settings.vocabulary) }
    files = try read.map {
      let status = try FileSystem.status($0)
      return CorpusManifest.SourceFile(path: $0, bytes: status.size, modified: status.modified)
    }
    stem = withoutExtension(FileSystem.name(of: (configuration.text.paths + configuration.train.paths)[0]))
  }

  /// The name of the folder that keeps these tokens: another for other settings or paths.
  func folderName() throws -> String {
    "\(stem)-\(try settings.digest.prefix(12))"
  }

  /// The texts of the parts.
  func parts() throws -> PartMap<[TextStretch]> {
    if settings.train.isEmpty { return try split(settings.text.paths.map(TextStretch.init(wholeOf:))) }
    return try PartMap(train: settings.train, validation: settings.validation, test: settings.test).map {
      try $1.paths.map(TextStretch.init(wholeOf:))
    }
  }

  // MARK: Paths

  private static func resolve(_ list: PathList) throws -> PathList {
    PathList(
      try list.paths.flatMap { path in
        let path = try absolute(path)
        guard try FileSystem.status(path).isDirectory else { return [path] }
        let files = try FileSystem.list(path).filter { !$0.hasPrefix(".") }.map { "\(path)/\($0)" }
          .filter { try !FileSystem.status($0).isDirectory && !$0.hasSuffix(LineProbabilities.suffix) }
        if files.isEmpty {
          throw CorpusError(
            path, "expected a folder with text files, found none in it", remedy: "name another")
        }
        return files
      })
  }

  /// `realpath(3)`.
  private static func absolute(_ path: String) throws -> String {
    guard let resolved = realpath(path, nil) else {
      throw FileError(operation: "open", path: path, code: errno)
    }
    defer { free(resolved) }
    return String(cString: resolved)
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
          TextStretch(path: file.path, range: local.lowerBound - start..<local.upperBound - start))
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
