import Files
import Foundation
import Glibc

/// Where the daemon that serves a folder is found: a Unix socket, and the token for TCP.
///
/// The socket is `control.sock` in the folder. Where that path is longer than a socket's may be, it is in a private
/// folder instead, and `control.sock` is a symbolic link that says where: the client may live in another environment
/// than the daemon (a batch job's) and could not work it out.
public enum ControlSocket {
  /// Bytes: `sun_path` of sockaddr_un(7) without its last zero.
  public static let longestPath = 107

  /// The path to connect to for the daemon of `folder`, whether or not there is one now. Throws `FileError` when there
  /// is no such folder.
  public static func path(for folder: String) throws -> String {
    let link = try linkPath(for: folder)
    if link.utf8.count <= longestPath { return link }
    var target = [UInt8](repeating: 0, count: longestPath)
    let length = readlink(link, &target, target.count)
    return try length > 0 ? String(decoding: target.prefix(length), as: UTF8.self) : listeningPath(for: folder)
  }

  /// The path to listen at. `ControlSocket.linkPath` where that is short enough; else in a private folder, yet to be
  /// made: below XDG_RUNTIME_DIR, or in the folder for temporary files.
  public static func listeningPath(for folder: String) throws -> String {
    let inFolder = try linkPath(for: folder)
    var digest = Digest()
    digest.update(inFolder)
    let name = "\(digest.hex().prefix(32)).sock"
    let environment = ProcessInfo.processInfo.environment
    var candidates = [inFolder]
    if let runtime = environment["XDG_RUNTIME_DIR"], FileSystem.exists(runtime) {
      candidates.append("\(runtime)/lockstep/\(name)")
    }
    for temporary in [environment["TMPDIR"], "/tmp"].compactMap({ $0 }) where FileSystem.exists(temporary) {
      candidates.append("\(temporary)/lockstep-\(geteuid())/\(name)")
    }
    if let fitting = candidates.first(where: { $0.utf8.count <= longestPath }) { return fitting }
    throw FileError(operation: "name a socket for", path: folder, code: ENAMETOOLONG)
  }

  /// `control.sock` in the folder: the socket, or a link to it.
  public static func linkPath(for folder: String) throws -> String { try "\(absolute(folder))/control.sock" }

  /// Where the daemon writes the token that requests over TCP carry: only its owner can read it.
  public static func tokenPath(for folder: String) throws -> String { try "\(absolute(folder))/control.token" }

  /// However a folder is called, one name for it: `realpath(3)`.
  private static func absolute(_ folder: String) throws -> String {
    guard let path = realpath(FileName.bytes(of: folder), nil) else {
      throw FileError(operation: "find", path: folder, code: errno)
    }
    defer { free(path) }
    return FileName.text(of: path)
  }
}
