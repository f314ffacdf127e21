import Glibc

/// A file that a user named to be read, more than once if need be. Where that is standard input, a pipe or a device, what it
/// gives is copied to a temporary file without a name, which is gone with this object or with the process, however it ends.
public final class InputFile {
  /// What it is called in messages: its path, or `standardInput`.
  public let name: String
  /// Where its bytes can be opened as long as this object lives.
  public let path: String
  public let isCopy: Bool
  private let descriptor: Int32

  public static let standardInput = "standard input"
  /// On a disk, where `/tmp` may be memory.
  public static let defaultTemporaryFolder = "/var/tmp"

  /// `given` may be "-" for standard input. A copy is made in the folder that `TMPDIR` names, else in `temporaryFolder`.
  /// `takesNamedPipes` says whether to wait for what somebody writes to a pipe that has a name; else only standard input and
  /// pipes of the shell's, as in `<(zcat text.gz)`, are taken. `progress` is told the bytes that were copied, and may throw to end
  /// it. Throws `FileError`.
  public init(
    _ given: String, temporaryFolder: String = InputFile.defaultTemporaryFolder, takesNamedPipes: Bool = true,
    progress: (Int) throws -> Void = { _ in }
  ) throws {
    isCopy = try Self.isReadOnce(given)
    name = Self.name(of: given)
    guard isCopy else {
      (path, descriptor) = (given, -1)
      return
    }
    guard takesNamedPipes || Self.isStandardInput(given) || given.hasPrefix("/dev/fd/") else {
      throw FileError(operation: "read", path: given, code: ENODEV)
    }
    let folder = getenv("TMPDIR").map { FileName.text(of: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? temporaryFolder
    let descriptor = try Self.makeUnnamedFile(in: folder)
    do {
      try Self.copy(given, name, to: descriptor, in: folder, progress)
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
    path = "/proc/self/fd/\(descriptor)"
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Whether what a path names can be read only once. Throws `FileError` where there is nothing.
  public static func isReadOnce(_ given: String) throws -> Bool {
    if given == "-" { return true }
    do {
      let status = try FileSystem.status(given)
      return !status.isRegular && !status.isDirectory
    } catch let error as FileError {
      throw FileError(operation: "open", path: given, code: error.code)
    }
  }

  /// What is said for a path in messages.
  public static func name(of given: String) -> String { isStandardInput(given) ? standardInput : given }

  private static func isStandardInput(_ given: String) -> Bool { ["-", "/dev/stdin", "/dev/fd/0"].contains(given) }

  private static func makeUnnamedFile(in folder: String) throws -> Int32 {
    try FileSystem.createDirectory(folder)
    let path = "\(folder)/.lockstep-input-\(UInt64.random(in: .min ... .max))"
    let descriptor = try checked("create", path) {
      open(FileName.bytes(of: path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    }
    unlink(FileName.bytes(of: path))
    return descriptor
  }

  private static func copy(
    _ given: String, _ name: String, to output: Int32, in folder: String, _ progress: (Int) throws -> Void
  ) throws {
    let input = try checked("open", name) {
      // A socket can be read there, but not opened again.
      isStandardInput(given)
        ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(FileName.bytes(of: given), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    }
    defer { close(input) }
    // Without it the call above would wait for somebody to write into a named pipe, and nothing could end that.
    if !isStandardInput(given) { try checked("open", name) { fcntl(input, F_SETFL, O_RDONLY) } }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var copied = 0
    while true {
      try progress(copied)
      // Whoever writes may take long: meanwhile it can be ended.
      var waiting = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
      while poll(&waiting, 1, 100) == 0 { try progress(copied) }
      let count = try checked("read", name) { read(input, buffer.baseAddress, buffer.count) }
      if count == 0 { return }
      copied += count
      var written = 0
      while written < count {
        written += try checked("write", "the copy of \(name) in \(folder)") {
          write(output, buffer.baseAddress.map { $0 + written }, count - written)
        }
      }
    }
  }
}
