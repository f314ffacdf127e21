import Files
import Foundation
import Glibc

/// A process of its own group, started with no signal blocked or ignored.
public final class ChildProcess {
  public enum Ending: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)

    /// As a shell has it: 128 and the signal's number.
    public var status: Int32 {
      switch self {
      case .exited(let status): status
      case .signalled(let number): 128 + number
      }
    }
  }

  /// Also the number of its process group.
  public let id: pid_t
  private var ending: Ending?

  /// Starts a program, by its path or found on PATH. The descriptors become its standard streams; nil leaves it this
  /// process's own. It is given no others. Throws `LaunchError`.
  public init(
    _ command: [String], environment: [String: String] = ProcessInfo.processInfo.environment, input: Int32,
    output: Int32? = nil, error: Int32? = nil
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
    if let error { posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO) }
    Descriptors.closeAllOnExec()

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    var arguments = command.map { strdup($0) } + [nil]
    var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var number: pid_t = 0
    let code = posix_spawnp(&number, command[0], &actions, &attributes, &arguments, &variables)
    guard code == 0 else {
      throw LaunchError("cannot start \(command[0]): \(String(cString: strerror(code))); check that it is there")
    }
    id = number
  }

  /// How it ended; nil while it runs.
  public func poll() -> Ending? {
    if let ending { return ending }
    var status: Int32 = 0
    guard waitpid(id, &status, WNOHANG) == id else { return nil }
    // WIFEXITED and its like are macros.
    ending = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
    return ending
  }

  /// Signals it, if it still runs.
  public func signal(_ number: Int32) { if poll() == nil { kill(id, number) } }

  /// Signals its group, which others may be left of.
  public func signalGroup(_ number: Int32) { kill(-id, number) }
}

/// A file without a name, gone with its last descriptor.
final class ScratchFile {
  let descriptor: Int32

  /// Throws `LaunchError`.
  init(_ bytes: [UInt8] = []) throws {
    let folder = FileManager.default.temporaryDirectory.path
    var template = Array("\(folder)/lockstep-launch-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
      throw LaunchError(
        "cannot make a file in \(folder): \(String(cString: strerror(errno))); set TMPDIR to another folder")
    }
    unlink(template)
    guard bytes.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == bytes.count,
      lseek(descriptor, 0, SEEK_SET) == 0
    else {
      throw LaunchError("cannot write to a file in \(folder): \(String(cString: strerror(errno))); free some space")
    }
  }

  deinit { close(descriptor) }

  /// All that was written to it.
  func text() -> String {
    lseek(descriptor, 0, SEEK_SET)
    return String(decoding: FileHandle(fileDescriptor: descriptor).readDataToEndOfFile(), as: UTF8.self)
  }
}
