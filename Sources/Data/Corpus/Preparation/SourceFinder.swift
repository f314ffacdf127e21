import Files

/// Finds the files that a configuration names: absolute paths, folders replaced by their files, and a copy of what can be read
/// only once.
struct SourceFinder {
  /// Where copies are made; without it what can be read only once is refused.
  let temporaryFolder: String?
  /// Told how many bytes of one were copied.
  let progress: (Int) throws -> Void
  /// Copies, by the name that stands for each.
  private(set) var copies: [String: InputFile] = [:]
  /// What is to be told of folders.
  private(set) var notes: [String] = []

  init(temporaryFolder: String?, progress: @escaping (Int) throws -> Void) {
    self.temporaryFolder = temporaryFolder
    self.progress = progress
  }

  /// The files of a list, in order. Throws `FileError` for what is not there, and `CorpusError` for a folder without texts and,
  /// with the `key` that named it, for what would have to be copied and may not be.
  mutating func find(_ list: PathList, _ key: String) throws -> PathList {
    PathList(
      try list.paths.flatMap { path in
        let path = try findFile(path, key)
        return try copies[path] == nil && FileSystem.status(path).isDirectory ? files(in: path) : [path]
      })
  }

  /// A path that is no list.
  mutating func findFile(_ path: String, _ key: String) throws -> String {
    // YAML takes a lone - for a list with nothing in it.
    guard try path.isEmpty && temporaryFolder == nil || InputFile.isReadOnce(path) else {
      return try FileSystem.resolved(path)
    }
    guard let temporaryFolder else {
      let found = ["", "-"].contains(path) ? "- (standard input) or no path" : "\(path), a pipe or a device"
      throw CorpusError(
        key, "expected a file or a folder, found \(found)",
        remedy:
          "a run reads its texts several times, and again when it resumes: save it in a file, or prepare it with `… | "
          + "lockstep corpus prepare - --output FOLDER` and name that folder in corpus.prepared")
    }
    let name = InputFile.name(of: path)
    // Named again, it is the same text.
    if copies[name] == nil {
      copies[name] = try InputFile(path, temporaryFolder: temporaryFolder, progress: progress)
    }
    return name
  }

  /// The texts in a folder, by name: not what is hidden, what editors leave behind and lists of probabilities.
  private mutating func files(in folder: String) throws -> [String] {
    let names = try FileSystem.list(folder).filter { !Self.isLeftover($0) && !$0.hasSuffix(LineProbabilities.suffix) }
    var files: [String] = []
    var folders: [String] = []
    for name in names {
      let path = "\(folder)/\(name)"
      if try FileSystem.status(path).isDirectory { folders.append(name) } else { files.append(path) }
    }
    if files.isEmpty {
      throw CorpusError(folder, "expected a folder with text files, found none in it", remedy: "name another")
    }
    if !folders.isEmpty {
      let read = files.count == 1 ? "1 file is" : "\(files.count) files are"
      let names = folders.prefix(3).joined(separator: ", ") + (folders.count > 3 ? ", …" : "")
      notes.append(
        "\(folder): its \(read) read; what is in its \(folders.count == 1 ? "folder" : "\(folders.count) folders") "
          + "(\(names)) is not: name what belongs to the text too")
    }
    return files
  }

  /// Hidden files, and what editors write beside a file: `a~`, `#a#`, `a.swp`.
  private static func isLeftover(_ name: String) -> Bool {
    name.hasPrefix(".") || name.hasSuffix("~") || (name.hasPrefix("#") && name.hasSuffix("#"))
      || [".swp", ".swo", ".swx"].contains(where: name.hasSuffix)
  }
}
