import Files

/// The file beside a text made by a known source that gives each line's natural-log probability: `a.logprob`
/// for `a.txt`, one decimal number on a line.
struct LineProbabilities {
  static let suffix = ".logprob"

  private let ofLine: [Double]

  static func path(beside text: String) -> String { withoutExtension(text) + suffix }

  /// Reads the list beside a text. Throws `CorpusError` for what is no number and for a list that does not
  /// have as many lines as the text.
  init(beside text: String) throws {
    let path = LineProbabilities.path(beside: text)
    let lines = try MappedFile.withBytes(of: path) { TextLines.of($0).map { String(decoding: $0, as: UTF8.self) } }
    ofLine = try lines.enumerated().map { index, number in
      if let value = Double(number), value <= 0 { return value }
      throw CorpusError(
        "\(path), line \(index + 1)", "expected a natural-log probability, found \"\(number)\"",
        remedy: "make the sample text again, or delete the list")
    }
    let expected = try lineNumbers(in: TextStretch(wholeOf: text)).upperBound
    guard expected == ofLine.count else {
      throw CorpusError(
        path, "expected \(expected) lines, as many as \(text) has, found \(ofLine.count)",
        remedy: "make the sample text again, or delete the list")
    }
  }

  /// The sum over the lines of a stretch that begins and ends at line ends, in nats, positive.
  func nats(of stretch: TextStretch) throws -> Double {
    try -ofLine[lineNumbers(in: stretch)].reduce(0, +)
  }

  /// Which lines of its file a stretch holds, counted from 0.
  private func lineNumbers(in stretch: TextStretch) throws -> Range<Int> {
    try MappedFile.withBytes(of: stretch.path) { bytes in
      let before = lineCount(bytes[..<stretch.range.lowerBound])
      return before..<before + lineCount(bytes[stretch.range])
    }
  }

  /// The lines of a text; a last one need not end with "\n".
  private func lineCount(_ text: Slice<UnsafeRawBufferPointer>) -> Int {
    let newline = UInt8(ascii: "\n")
    return text.count { $0 == newline } + (text.last.map { $0 == newline ? 0 : 1 } ?? 0)
  }
}
