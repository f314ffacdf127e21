import Files
import Glibc
import Synchronization

/// The two streams of the process, unbuffered: what is written is seen at once, also under mpirun.
public enum Console {
  /// The first error of writing to standard output, but for a pipe that nobody reads any more.
  private static let failure = Atomic<Int32>(0)

  /// Throws `FileError` if something could not be written to standard output.
  public static func checkOutput() throws {
    let code = failure.load(ordering: .relaxed)
    if code != 0 { throw FileError(operation: "write to", path: "standard output", code: code) }
  }

  public static func output(_ text: String) { write(text.utf8, to: STDOUT_FILENO) }
  public static func output(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }
  public static func error(_ text: String) { write(text.utf8, to: STDERR_FILENO) }
  public static func error(_ bytes: [UInt8]) { write(bytes, to: STDERR_FILENO) }

  /// Lets writing to a pipe that nobody reads any more end the process in silence, whatever its parent left it.
  public static func endWithBrokenPipes() { signal(SIGPIPE, SIG_DFL) }

  /// Lets writing to a pipe that nobody reads any more fail, rather than end the process.
  public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

  public static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) != 0 }
  public static var errorIsTerminal: Bool { isatty(STDERR_FILENO) != 0 }

  /// Columns and rows of the terminal that standard output is; nil where it is none.
  public static var terminalSize: (width: Int, height: Int)? {
    var window = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else { return nil }
    return (Int(window.ws_col), Int(window.ws_row))
  }

  private static func write(_ bytes: some Sequence<UInt8>, to descriptor: Int32) {
    let bytes = Array(bytes)
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 && errno != EINTR {
        // A stream that is gone or full must not stop the training it tells of.
        if descriptor == STDOUT_FILENO && errno != EPIPE { failure.store(errno, ordering: .relaxed) }
        return
      }
      written += max(0, count)
    }
  }
}
