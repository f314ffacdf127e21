import Files

/// The file beside a text made by a known source that gives each line's natural-log probability: `a.logprob`
/// for `a.txt`, one decimal number on a line.
struct LineProbabilities {
  static let suffix = ".logprob"

  private let ofLine: [Double]

  static func path(beside text: String) -> String { withoutExtension(text) + suffix }

  /// Reads the list beside a text. Throws `CorpusError` for what is no number and for a list that does not
  /// have as many lines as the text, and what `meanwhile` throws, which is called now and then.
  init(beside text: String, meanwhile: () throws -> Void = {}) throws {
    let path = LineProbabilities.path(beside: text)
    let list = try LineReader(path)
    var numbers: [Double] = []
    while let line = try list.next() {
      if line.isEmpty { continue }
      let number = String(decoding: line, as: UTF8.self)
      guard let value = Double(number), value <= 0 else {
        throw CorpusError(
          "\(path), line \(list.count)", "expected a natural-log probability, found \"\(number)\"",
          remedy: "make the sample text again, or delete the list")
      }
      numbers.append(value)
      if list.count.isMultiple(of: 100_000) { try meanwhile() }
    }
    ofLine = numbers
    let expected = try lineNumbers(in: TextStretch(wholeOf: text)).upperBound
    guard expected == ofLine.count else {
      throw CorpusError(
        path, "expected \(counted(expected, "line")), as many as \(text) has, found \(ofLine.count)",
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
