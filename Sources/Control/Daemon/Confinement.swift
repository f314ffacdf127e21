import Files
import Glibc
import Training

/// The folders whose files the runs of jobs may name.
///
/// Whoever may submit a job (by the token, or the page's cookie) could otherwise read any file that the daemon's user can:
/// a model learns a text by heart and writes it down. So a job names only what is in the folder that is served, in the one
/// the daemon was started in, and in those named for this; it keeps tokens only in the first two. A path is judged by where
/// it leads: links and `..` are followed. What lies in such a folder, links too, is its owner's choice.
struct Confinement: Sendable {
  /// By their real paths.
  private let own: [String]
  private let data: [String]

  /// Throws `FileError` for a folder that is not there.
  init(serving directory: String, data: [String]) throws {
    func realPath(_ path: String) throws -> String {
      if let real = Self.realPath(path) { return real }
      throw FileError(operation: "find", path: path, code: errno)
    }
    let started = try realPath(".")
    // A service is started in the root, which would allow everything.
    own = [try realPath(directory)] + (started == "/" ? [] : [started])
    self.data = try data.map(realPath)
  }

  /// Throws `ConfigurationError` for the first path that leads elsewhere. Looks at the file system.
  func check(_ configuration: RunConfiguration) throws {
    for (key, path) in configuration.readPaths { try check(key, path, own + data, "; --data allows others") }
    for (key, path) in configuration.writtenPaths { try check(key, path, own, "") }
  }

  private func check(_ key: String, _ path: String, _ folders: [String], _ remedy: String) throws {
    if let real = Self.target(of: path), folders.contains(where: { Self.contains($0, real) }) { return }
    let allowed = Array(Set(folders)).sorted().joined(separator: ", ")
    throw ConfigurationError(
      key: key,
      problem: "\(key) is '\(path.prefix(200))'; expected a path of this daemon's jobs, in \(allowed) (links followed)"
        + remedy)
  }

  private static func contains(_ folder: String, _ path: String) -> Bool {
    path == folder || path.hasPrefix(folder == "/" ? "/" : "\(folder)/")
  }

  /// Where a path leads. What is not there yet is taken below the folder that is; nil where that cannot be said, as with a
  /// link to nothing.
  private static func target(of path: String) -> String? {
    var known = path[...]
    var missing: [Substring] = []
    while true {
      if let real = realPath(known.isEmpty ? "." : String(known)) {
        return missing.isEmpty ? real : "\(real == "/" ? "" : real)/\(missing.joined(separator: "/"))"
      }
      var status = stat()
      guard errno == ENOENT, !known.isEmpty, lstat(FileName.bytes(of: String(known)), &status) != 0 else { return nil }
      while known.last == "/" { known.removeLast() }
      let name = known[(known.lastIndex(of: "/").map(known.index(after:)) ?? known.startIndex)...]
      if name == "." || name == ".." { return nil }
      missing.insert(name, at: 0)
      known = known[..<name.startIndex]
    }
  }

  private static func realPath(_ path: String) -> String? {
    guard let real = realpath(FileName.bytes(of: path), nil) else { return nil }
    defer { free(real) }
    return FileName.text(of: real)
  }
}
