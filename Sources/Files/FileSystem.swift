import Glibc

/// What `stat(2)` says of a path.
public struct FileStatus: Equatable, Sendable {
  public let size: Int
  /// Time of the last change of the contents, in nanoseconds since 1970.
  public let modified: Int
  public let isDirectory: Bool
}

/// Paths and folders: the system calls of that name, with checked results.
public enum FileSystem {
  /// `stat(2)`.
  public static func status(_ path: String) throws -> FileStatus {
    var result = stat()
    try checked("look at", path) { stat(path, &result) }
    return FileStatus(
      size: Int(result.st_size),
      modified: Int(result.st_mtim.tv_sec) * 1_000_000_000 + Int(result.st_mtim.tv_nsec),
      isDirectory: result.st_mode & S_IFMT == S_IFDIR)
  }

  /// Where a path leads that may be a symbolic link; the path itself where there is nothing.
  public static func followingLinks(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  /// Lets a write beyond the limit on file sizes (`ulimit -f`) fail with EFBIG, as one on a full disk fails, rather than end
  /// the process by XFSZ.
  public static func letLimitsFail() { signal(SIGXFSZ, SIG_IGN) }

  /// Whether a path leads to a regular file.
  public static func isFile(_ path: String) -> Bool {
    var result = stat()
    return stat(path, &result) == 0 && result.st_mode & S_IFMT == S_IFREG
  }

  /// `getcwd(3)`.
  public static var workingDirectory: String {
    guard let path = getcwd(nil, 0) else { return "the working directory" }
    defer { free(path) }
    return String(cString: path)
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Makes a folder and those above it that are missing; one that is there already is fine.
  public static func createDirectory(_ path: String) throws {
    if mkdir(path, 0o777) == 0 { return }
    let parent = parent(of: path)
    if errno == ENOENT, !path.isEmpty, !exists(parent) {
      try createDirectory(parent)
      if mkdir(path, 0o777) == 0 { return }
    }
    let code = errno
    // Another process may have been faster.
    guard code == EEXIST, exists(path), try status(path).isDirectory else {
      // A link that leads nowhere is there, and what it leads to is not.
      let isLost = code == EEXIST && !exists(path)
      throw FileError(operation: "make folder", path: path, code: code != EEXIST ? code : isLost ? ENOENT : ENOTDIR)
    }
  }

  /// The names in a folder, sorted, without `.` and `..`.
  public static func list(_ directory: String) throws -> [String] {
    guard let stream = opendir(directory) else {
      throw FileError(operation: "list", path: directory, code: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public static func remove(_ path: String) throws {
    try checked("remove", path) { unlink(path) }
  }

  /// `rename(2)`: replaces `target` in one step.
  public static func rename(_ path: String, to target: String) throws {
    try checked("rename to \(target) from", path) { Glibc.rename(path, target) }
  }

  /// Makes a folder's entries (a rename just made) survive a power cut: `fsync(2)` on the folder.
  public static func synchronizeDirectory(_ path: String) throws {
    let name = path.isEmpty ? "." : path
    let descriptor = try checked("open", name) { open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    defer { close(descriptor) }
    try checked("sync", name) { fsync(descriptor) }
  }

  /// The folder a path lies in; "." for a bare name.
  public static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path.
  public static func name(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
