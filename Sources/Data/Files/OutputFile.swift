import Glibc

/// A file being written, through a buffer. `finish()` makes it whole; one that is given up is removed.
public final class OutputFile {
  public let path: String
  /// What it is to replace.
  private var target: String?
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private let bufferSize = 1 << 18

  /// Opens `path` for writing, empty. A new file has these permissions, less what the umask takes.
  public init(_ path: String, permissions: mode_t = 0o666) throws {
    self.path = path
    descriptor = try checked("create", path) {
      open(FileName.bytes(of: path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, permissions)
    }
    buffer.reserveCapacity(bufferSize)
  }

  deinit {
    // Not finished: what is there is not whole, so nothing may stay that looks so.
    if descriptor >= 0 {
      close(descriptor)
      unlink(FileName.bytes(of: path))
    }
  }

  public func write(_ bytes: some Sequence<UInt8>) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= bufferSize { try flush() }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    if buffer.count + bytes.count < bufferSize {
      buffer.append(contentsOf: bytes)
    } else {
      try flush()
      try writeThrough(bytes)
    }
  }

  public func write(_ text: String) throws { try write(text.utf8) }

  /// Writes what is buffered, syncs it to the disk and closes the file.
  public func finish() throws {
    try flush()
    try checked("sync", path) { fsync(descriptor) }
    let closing = descriptor
    descriptor = -1
    // Not through `checked`: after EINTR the descriptor is gone, and closing again could hit another file.
    if close(closing) == -1 && errno != EINTR {
      let code = errno
      unlink(FileName.bytes(of: path))
      throw FileError(operation: "close", path: path, code: code)
    }
  }

  private func flush() throws {
    try buffer.withUnsafeBytes { try writeThrough($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let written = try checked("write", path) {
        Glibc.write(descriptor, rest.baseAddress, FaultPlan.allowance(of: rest.count, on: path))
      }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
    }
  }

  /// Replaces `path` whole or not at all: written beside it, synced, renamed over it, folder synced.
  /// On an error the old file stays as it was and nothing is left beside it. Symbolic links are followed; what is there
  /// and is no file, a pipe or a device, is left alone and refused.
  public static func replace(
    _ path: String, permissions: mode_t = 0o666, with body: (OutputFile) throws -> Void
  ) throws {
    let file = try replacing(path, permissions: permissions)
    try body(file)
    try file.publish()
  }

  /// The same for one that is written bit by bit: `publish` puts it there. One that is given up is removed.
  public static func replacing(_ path: String, permissions: mode_t = 0o666) throws -> OutputFile {
    let path = FileSystem.followingLinks(path)
    var status = stat()
    if stat(FileName.bytes(of: path), &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw FileError(operation: "replace", path: path, code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : ENODEV)
    }
    let file = try OutputFile("\(path).partial-\(getpid())", permissions: permissions)
    file.target = path
    return file
  }

  /// Finishes a file made by `replacing`, and gives it its name.
  public func publish() throws {
    guard let target else { preconditionFailure("\(path) replaces nothing") }
    try finish()
    do {
      try FileSystem.rename(path, to: target)
    } catch {
      unlink(FileName.bytes(of: path))
      throw error
    }
    try FileSystem.synchronizeDirectory(FileSystem.parent(of: target))
  }
}
