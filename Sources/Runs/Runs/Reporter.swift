import Files
import Foundation
import Glibc
import Synchronization

/// Where a run's events go.
public protocol Reporter: AnyObject {
  func report(_ event: RunEvent)
}

/// How a reporter shows what is under way.
public enum ProgressStyle: String, CaseIterable, Sendable {
  /// One line that is written over, for a terminal.
  case live
  /// A line every few seconds, for a file or a pipe.
  case plain
}

public enum LogFormat: String, CaseIterable, Sendable {
  case text
  /// One JSON object a line, every step.
  case json

  /// `style` and the time between progress lines are those of text.
  public func makeReporter(style: ProgressStyle, interval: Duration) -> any Reporter {
    switch self {
    case .text: TextReporter(style: style, interval: interval)
    case .json: JSONReporter()
    }
  }
}

/// Says nothing: every rank but the first.
public final class SilentReporter: Reporter {
  public init() {}
  public func report(_ event: RunEvent) {}
}

/// Tells two.
public final class ReporterPair: Reporter {
  private let first: any Reporter
  private let second: any Reporter

  public init(_ first: any Reporter, _ second: any Reporter) {
    self.first = first
    self.second = second
  }

  public func report(_ event: RunEvent) {
    first.report(event)
    second.report(event)
  }
}

/// Writes each event as a line of JSON.
public final class JSONReporter: Reporter {
  private var lastProgress: ContinuousClock.Instant?

  public init() {}

  public func report(_ event: RunEvent) {
    switch event {
    case .preparing, .evaluating:  // of which there may be thousands: one a second
      let now = ContinuousClock.now
      if let lastProgress, now - lastProgress < .seconds(1) { return }
      lastProgress = now
    case .curve: return  // the steps have been told
    default: break
    }
    do {
      Console.output(try jsonText(event) + "\n")
    } catch {
      Console.error("cannot write an event as JSON: \(error)\n")
    }
  }
}

/// A value as JSON; numbers that JSON has no word for become "inf", "-inf" and "nan".
public func jsonText(_ value: some Encodable, pretty: Bool = false) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
  encoder.nonConformingFloatEncodingStrategy = .convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}

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
