import ArgumentParser
import Corpus
import Runs
import Terminal

extension Console {
  /// Says on standard error what the user should know and nothing ends for.
  static func warn(_ message: String) { error("warning: \(message)\n") }
}

/// Progress of something that may take a while, on standard error; nothing where that is not a terminal, or
/// where it is soon done.
final class ProgressMeter {
  private let label: String
  private let left = TimeLeft()
  private var shown = 0.0

  init(_ label: String) { self.label = label }

  func show(_ done: Int, of total: Int) {
    let now = left.seconds
    guard Console.errorIsTerminal, now > 1, now - shown > 0.2 else { return }
    shown = now
    Console.error("\r\u{1B}[K\(label) \(left.text(done, of: total))")
  }

  func finish() { if shown > 0 { Console.error("\r\u{1B}[K") } }
}

/// The same for something done in phases, one after the other.
final class PhaseMeter {
  private var phase: (name: String, meter: ProgressMeter)?

  func show(_ name: String, _ done: Int, of total: Int) {
    if phase?.name != name {
      finish()
      phase = (name, ProgressMeter(name))
    }
    phase?.meter.show(done, of: total)
  }

  func finish() { phase?.meter.finish() }
}

/// Throws, where a signal has come, what ends the command as that signal would; on its way out, files that are not whole are
/// removed.
func endIfAsked(_ command: String) throws {
  guard let name = Interruption.requested else { return }
  Console.error("\(command): stopped (\(name)); nothing is left of what was begun\n")
  throw ExitCode(128 + Interruption.signal)
}

/// Bytes between quotes on one line; those that are no text are shown as such.
func quoted(_ bytes: some Collection<UInt8>) -> String {
  guard let text = String(validating: bytes, as: UTF8.self) else {
    return "\"" + bytes.map { "\\x" + String(UInt16($0) + 256, radix: 16).dropFirst() }.joined() + "\""
  }
  let shown = text.unicodeScalars.map { scalar in
    switch scalar {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    case "\"", "\\": "\\\(scalar)"
    case _ where scalar.properties.generalCategory == .control: "\\u{\(String(scalar.value, radix: 16))}"
    default: String(scalar)
    }
  }
  return "\"\(shown.joined())\""
}

/// Bytes as JSON has them: as text, in which U+FFFD stands for what is no UTF-8, and where there is such, all of them in
/// hexadecimal too.
struct JSONBytes {
  let text: String
  /// Nil where the text says all.
  let hexadecimal: String?

  init(_ bytes: some Collection<UInt8>) {
    let valid = String(validating: bytes, as: UTF8.self)
    text = valid ?? String(decoding: bytes, as: UTF8.self)
    hexadecimal = valid != nil ? nil : bytes.hexadecimal
  }
}

extension TokenizerKind {
  /// What one token is called.
  var unit: String {
    switch self {
    case .characters: "character"
    case .bytes: "byte"
    case .words: "word"
    }
  }
}
