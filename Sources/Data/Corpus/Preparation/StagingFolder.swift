import Files
import Glibc

/// A folder being written beside the one it will become, so that what bears the final name is always whole.
/// One that is given up is removed; those of processes that died are removed by the next to come.
final class StagingFolder {
  /// Where to write.
  let path: String
  private let target: String

  /// It has these permissions, less what the umask takes.
  init(for target: String, permissions: mode_t = 0o777) throws {
    self.target = target
    let mark = StagingFolder.mark()
    try FileSystem.createDirectory(FileSystem.parent(of: target))
    StagingFolder.removeLeftovers(of: target, mark)
    path = StagingFolder.freshName(target, mark)
    try FileSystem.createDirectory(path, permissions: permissions)
  }

  deinit { StagingFolder.remove(path) }

  /// Gives the folder its name, in place of any that bears it; `keepsOther` says that one another process
  /// put there meanwhile is as good. Safe against a power cut when it returns.
  func publish(keepsOther: () -> Bool) throws {
    try FileSystem.synchronizeDirectory(path)
    while true {
      do {
        try FileSystem.rename(path, to: target)
        break
      } catch let error as FileError where error.code == ENOTEMPTY || error.code == EEXIST {
        if keepsOther() { return }
        let aside = StagingFolder.freshName(target, StagingFolder.mark())
        try? FileSystem.rename(target, to: aside)  // fails if another process was faster: then try again
        StagingFolder.remove(aside)
      }
    }
    try FileSystem.synchronizeDirectory(FileSystem.parent(of: target))
  }

  // MARK: Names

  /// Says that a name is a staging folder's and on which machine it is in use; the process's number follows.
  private static func mark() -> String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    // "@" ends the name: no host's has one, so that "node1" is not taken for the start of "node1-2".
    let host = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return ".partial-\(host)@"
  }

  private static func freshName(_ target: String, _ mark: String) -> String {
    "\(target)\(mark)\(getpid())-\(UInt32.random(in: .min ... .max))"
  }

  /// Removes what processes of this machine that are gone have left.
  private static func removeLeftovers(of target: String, _ mark: String) {
    let parent = FileSystem.parent(of: target)
    let prefix = FileSystem.name(of: target) + mark
    for name in (try? FileSystem.list(parent)) ?? [] where name.hasPrefix(prefix) {
      let process = name.dropFirst(prefix.count).prefix { $0 != "-" }
      guard let process = pid_t(process), kill(process, 0) == -1, errno == ESRCH else { continue }
      remove("\(parent)/\(name)")
    }
  }

  /// Removes a folder of files. What cannot be removed stays: a later preparation tries again.
  private static func remove(_ directory: String) {
    for name in (try? FileSystem.list(directory)) ?? [] { try? FileSystem.remove("\(directory)/\(name)") }
    try? FileSystem.removeDirectory(directory)
  }
}
