import Glibc

/// Which file or folder it is, whatever it is called and by whatever links it is reached. Two that are the same at a time
/// are one file.
public struct FileIdentity: Equatable, Sendable {
  private let device: dev_t
  private let inode: ino_t

  /// Of what a path leads to; nil where there is nothing, and of what is no file or folder: a pipe or a device.
  public init?(of path: String) {
    var status = stat()
    guard stat(FileName.bytes(of: path), &status) == 0 else { return nil }
    self.init(status)
  }

  /// The same of an open file.
  public init?(descriptor: Int32) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    self.init(status)
  }

  private init?(_ status: stat) {
    guard [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else { return nil }
    device = status.st_dev
    inode = status.st_ino
  }

  /// Whether a file lies in this folder, or in one below it.
  public func contains(_ path: String) -> Bool {
    var folder = FileSystem.parent(of: FileSystem.followingLinks(path))
    while FileIdentity(of: folder) != self {
      if folder == "/" || folder == "." { return false }
      folder = FileSystem.parent(of: folder)
    }
    return true
  }
}
