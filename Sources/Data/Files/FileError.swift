import Glibc

/// A system call on a file that failed: what was tried, on which path, and the system's reason.
public struct FileError: Error, CustomStringConvertible, Equatable {
  /// What was tried, as a verb: "open", "write", "rename".
  public let operation: String
  public let path: String
  /// `errno` as the call left it.
  public let code: Int32

  public init(operation: String, path: String, code: Int32) {
    self.operation = operation
    self.path = path
    self.code = code
  }

  public var description: String {
    let reason = String(cString: strerror(code))
    guard let remedy else { return "cannot \(operation) \(path): \(reason)" }
    return "cannot \(operation) \(path): \(reason); \(remedy)"
  }

  private var remedy: String? {
    switch code {
    case ENOENT where path.isEmpty: "a path is missing"
    case ENOENT where path.hasPrefix("/"): "check the path"
    case ENOENT: "check the path, which is taken from \(FileSystem.workingDirectory)"
    case EACCES, EPERM: "check who owns it and its permissions"
    case EROFS: "the file system is read-only: choose another folder"
    case EFBIG: "it would be larger than files may be here: raise the limit (ulimit -f), or choose another file system"
    case EEXIST: "there is something of that name: name another, or remove it"
    case ENOSPC: "free some space or choose a folder on another disk"
    case EDQUOT: "your disk quota is used up: free some space"
    case EISDIR: "it is a folder: name a file"
    case ENOTDIR: "a part of the path is not a folder"
    case ENODEV: "it is a pipe or a device: name a file"
    case EWOULDBLOCK: "another process uses it"
    case ENOMEM: "there is too little memory"
    default: nil
    }
  }
}

/// The one place where a system call's result is looked at: `-1` throws what `errno` says.
/// An interrupted call (`EINTR`) is made again.
@discardableResult
public func checked<Result: SignedInteger>(_ operation: String, _ path: String, _ call: () -> Result) throws -> Result {
  while true {
    if let code = FaultPlan.failure(of: operation, on: path) {
      throw FileError(operation: operation, path: path, code: code)
    }
    let result = call()
    if result != -1 { return result }
    let code = errno
    if code != EINTR { throw FileError(operation: operation, path: path, code: code) }
  }
}
