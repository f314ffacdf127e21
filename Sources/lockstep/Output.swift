import Corpus
import Foundation
import Runs

/// Prints a value as one JSON object.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Progress of something that may take a while, on standard error; nothing where that is not a terminal, or
/// where it is soon done.
final class ProgressMeter {
  private let label: String
  private let begun = ContinuousClock.now
  private var shown: ContinuousClock.Instant?

  init(_ label: String) { self.label = label }

  func show(_ done: Int, of total: Int) {
    let now = ContinuousClock.now
    guard Console.errorIsTerminal, now - begun > .seconds(1), shown.map({ now - $0 > .milliseconds(200) }) ?? true
    else { return }
    shown = now
    let seconds = (now - begun) / .seconds(1)
    let left = done > 0 ? Int(seconds * Double(total - done) / Double(done)) : 0
    Console.error("\r\u{1B}[K\(label) \(total > 0 ? done * 100 / total : 0) %, \(left)s left")
  }

  func finish() { if shown != nil { Console.error("\r\u{1B}[K") } }
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
