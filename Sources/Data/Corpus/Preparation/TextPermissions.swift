import Files
import Glibc

/// What others may do with tokens of a text: no more than with the text, whose words they are.
public struct TextPermissions: Equatable, Sendable {
  /// Of a file. The owner may always read and write.
  public let file: mode_t

  public init(file: mode_t) { self.file = 0o600 | file & 0o666 }

  /// Of a text that anybody may read and write.
  public static let all = TextPermissions(file: 0o666)

  /// Of files made of some others, in a folder where new files belong to `group`. Members of another group than a file's have
  /// the rights of all.
  init(of files: [FileStatus], group: gid_t) {
    self.init(
      file: files.reduce(0o666) { shared, file in
        let others = file.permissions & 0o006
        return shared & (0o600 | (file.group == group ? file.permissions & 0o060 : others << 3) | others)
      })
  }

  /// What is left of both.
  public func intersection(_ other: TextPermissions) -> TextPermissions { TextPermissions(file: file & other.file) }

  /// Of a folder with such files: whoever may read them may list it, and put others in their place.
  public var folder: mode_t {
    0o700 | (file & 0o040 != 0 ? 0o070 : 0) | (file & 0o004 != 0 ? 0o007 : 0)
  }

  /// Takes away what a folder and the files in it allow beyond this. What belongs to somebody else stays as it is.
  func restrict(_ directory: String) {
    let files = ((try? FileSystem.list(directory)) ?? []).map { ("\(directory)/\($0)", file) }
    for (path, allowed) in files + [(directory, folder)] {
      guard let found = try? FileSystem.status(path).permissions, found & 0o777 & ~allowed != 0 else { continue }
      try? FileSystem.setPermissions(found & ~(0o777 & ~allowed), of: path)
    }
  }

  /// The group that new files of a folder belong to, or of the nearest one above it that is there.
  static func group(ofNewFilesIn directory: String) -> gid_t {
    guard let status = try? FileSystem.status(directory) else {
      let parent = FileSystem.parent(of: directory)
      return parent == directory ? getegid() : group(ofNewFilesIn: parent)
    }
    return status.permissions & 0o2000 != 0 ? status.group : getegid()
  }
}
