import ControlAPI
import Files
import Glibc

/// Why the server cannot listen.
public struct ListeningError: Error, Equatable, CustomStringConvertible {
  public let description: String
}

/// What the server leaves in the file system for clients to find: the socket, and the token. Only their owner may use
/// them, from the first instant on: files are made with mode 0600, not given it later.
struct PrivateFiles: Sendable {
  let socketPath: String
  /// In the folder: the socket itself, or a link that says where it is.
  let linkPath: String
  let tokenPath: String

  /// Throws `FileError` when there is no such folder.
  init(folder: String) throws {
    socketPath = try ControlSocket.listeningPath(for: folder)
    linkPath = try ControlSocket.linkPath(for: folder)
    tokenPath = try ControlSocket.tokenPath(for: folder)
  }

  /// A socket that listens at `socketPath`, in the place of one that nobody listens at any more. Whoever serves a
  /// folder has locked it, so that no two do this at once. Throws `ListeningError` and `FileError`.
  func makeSocket() throws -> CInt {
    if linkPath != socketPath { try Self.makePrivateFolder(FileSystem.parent(of: socketPath)) }
    try removeStaleSocket()
    let descriptor = try Self.newSocket(socketPath)
    do {
      // bind(2) gives the file the socket's own mode, less the umask.
      try Self.check(fchmod(descriptor, 0o600), "set the mode of", socketPath)
      try Self.check(Self.withAddress(socketPath) { bind(descriptor, $0, $1) }, "make socket", socketPath)
      try Self.check(listen(descriptor, 256), "listen at", socketPath)
      if linkPath != socketPath {
        try Self.expect(S_IFLNK, at: linkPath)
        unlink(linkPath)
        try Self.check(symlink(socketPath, linkPath), "link to the socket from", linkPath)
      }
    } catch {
      close(descriptor)
      throw error
    }
    return descriptor
  }

  /// Puts the token into its file.
  func write(token: String) throws {
    // Beside it, so that the file is never there without the token; under a name that no run's folder can have.
    let partial = "\(FileSystem.parent(of: tokenPath))/.\(FileSystem.name(of: tokenPath)).partial"
    unlink(partial)
    let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    try Self.check(descriptor, "create", partial)
    defer { close(descriptor) }
    let text = Array("\(token)\n".utf8)
    let written = Glibc.write(descriptor, text, text.count)
    if written != text.count {
      let code = written < 0 ? errno : ENOSPC
      unlink(partial)
      throw FileError(operation: "write", path: partial, code: code)
    }
    try FileSystem.rename(partial, to: tokenPath)
  }

  /// Takes away what was left. What is gone already is fine.
  func remove() {
    for path in Set([socketPath, linkPath, tokenPath]) { unlink(path) }
  }

  private func removeStaleSocket() throws {
    guard try Self.expect(S_IFSOCK, at: socketPath) else { return }
    let descriptor = try Self.newSocket(socketPath)
    defer { close(descriptor) }
    if Self.withAddress(socketPath, { connect(descriptor, $0, $1) }) == 0 || errno == EAGAIN {
      throw ListeningError(
        description: "cannot listen at \(socketPath): another daemon does; end it, or name another folder")
    }
    if errno == ECONNREFUSED { try FileSystem.remove(socketPath) }
  }

  /// Whether there is a file of a kind; false if there is none. Throws `ListeningError` for one of another kind. What
  /// else may be wrong with the path comes out when it is used.
  @discardableResult
  private static func expect(_ kind: mode_t, at path: String) throws -> Bool {
    var status = stat()
    if lstat(path, &status) != 0 { return false }
    if status.st_mode & S_IFMT == kind { return true }
    throw ListeningError(
      description: "cannot listen at \(path): expected an old socket or nothing there, found another kind of file; "
        + "move it away")
  }

  /// A folder below one that others may write to: it has to be ours, and closed to them.
  private static func makePrivateFolder(_ path: String) throws {
    if mkdir(path, 0o700) == 0 { return }
    let code = errno
    var status = stat()
    guard code == EEXIST, lstat(path, &status) == 0 else {
      throw FileError(operation: "make folder", path: path, code: code)
    }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
      throw ListeningError(
        description: "cannot put a socket into \(path): expected a folder of your own that only you may enter; "
          + "remove it, or set XDG_RUNTIME_DIR to such a folder")
    }
  }

  private static func newSocket(_ path: String) throws -> CInt {
    // Not to wait for another daemon that has no time to accept.
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = socket(AF_UNIX, kind, 0)
    try check(descriptor, "make socket", path)
    return descriptor
  }

  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
  ) -> CInt {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    precondition(path.utf8.count <= ControlSocket.longestPath)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  private static func check(_ result: CInt, _ operation: String, _ path: String) throws {
    if result == -1 { throw FileError(operation: operation, path: path, code: errno) }
  }
}
