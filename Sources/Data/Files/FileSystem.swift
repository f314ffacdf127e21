import Glibc

/// What `stat(2)` says of a path.
public struct FileStatus: Equatable, Sendable {
  public let size: Int
  /// Time of the last change of the contents, in nanoseconds since 1970.
  public let modified: Int
  public let isDirectory: Bool
  /// Whether it is a file proper: no folder, pipe, socket or device.
  public let isRegular: Bool
  /// Who may do what: the lower 12 bits of `st_mode`.
  public let permissions: mode_t
  /// Its group's number.
  public let group: gid_t
}

/// Paths and folders: the system calls of that name, with checked results.
public enum FileSystem {
  /// `stat(2)`.
  public static func status(_ path: String) throws -> FileStatus {
    var result = stat()
    try checked("look at", path) { stat(FileName.bytes(of: path), &result) }
    return FileStatus(
      size: Int(result.st_size),
      modified: Int(result.st_mtim.tv_sec) * 1_000_000_000 + Int(result.st_mtim.tv_nsec),
      isDirectory: result.st_mode & S_IFMT == S_IFDIR, isRegular: result.st_mode & S_IFMT == S_IFREG,
      permissions: result.st_mode & 0o7777, group: result.st_gid)
  }

  /// Where a path leads that may be a symbolic link; the path itself where there is nothing.
  public static func followingLinks(_ path: String) -> String {
    (try? resolved(path)) ?? path
  }

  /// The absolute path without symbolic links of something that is there: `realpath(3)`.
  public static func resolved(_ path: String) throws -> String {
    guard let real = realpath(FileName.bytes(of: path), nil) else {
      throw FileError(operation: "open", path: path, code: errno)
    }
    defer { free(real) }
    return FileName.text(of: real)
  }

  /// Lets a write beyond the limit on file sizes (`ulimit -f`) fail with EFBIG, as one on a full disk fails, rather than end
  /// the process by XFSZ.
  public static func letLimitsFail() { signal(SIGXFSZ, SIG_IGN) }

  /// Whether a path leads to a regular file.
  public static func isFile(_ path: String) -> Bool {
    var result = stat()
    return stat(FileName.bytes(of: path), &result) == 0 && result.st_mode & S_IFMT == S_IFREG
  }

  /// `getcwd(3)`.
  public static var workingDirectory: String {
    guard let path = getcwd(nil, 0) else { return "the working directory" }
    defer { free(path) }
    return FileName.text(of: path)
  }

  public static func exists(_ path: String) -> Bool { access(FileName.bytes(of: path), F_OK) == 0 }

  /// Makes a folder and those above it that are missing; one that is there already is fine. It has the permissions asked for,
  /// less what the umask takes.
  public static func createDirectory(_ path: String, permissions: mode_t = 0o777) throws {
    if mkdir(FileName.bytes(of: path), permissions) == 0 { return }
    let parent = parent(of: path)
    if errno == ENOENT, !path.isEmpty, !exists(parent) {
      try createDirectory(parent)
      if mkdir(FileName.bytes(of: path), permissions) == 0 { return }
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
    guard let stream = opendir(FileName.bytes(of: directory)) else {
      throw FileError(operation: "list", path: directory, code: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { FileName.text(of: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public static func remove(_ path: String) throws {
    try checked("remove", path) { unlink(FileName.bytes(of: path)) }
  }

  /// Removes a folder that is empty: `rmdir(2)`.
  public static func removeDirectory(_ path: String) throws {
    try checked("remove", path) { rmdir(FileName.bytes(of: path)) }
  }

  /// `chmod(2)`.
  public static func setPermissions(_ permissions: mode_t, of path: String) throws {
    try checked("set the permissions of", path) { chmod(FileName.bytes(of: path), permissions) }
  }

  /// `rename(2)`: replaces `target` in one step.
  public static func rename(_ path: String, to target: String) throws {
    try checked("rename to \(target) from", path) {
      Glibc.rename(FileName.bytes(of: path), FileName.bytes(of: target))
    }
  }

  /// Makes a folder's entries (a rename just made) survive a power cut: `fsync(2)` on the folder.
  public static func synchronizeDirectory(_ path: String) throws {
    let name = path.isEmpty ? "." : path
    let descriptor = try checked("open", name) { open(FileName.bytes(of: name), O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
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
