import Corpus
import Runs

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
