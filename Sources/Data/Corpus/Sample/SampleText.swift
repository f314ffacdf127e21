import Files
import Glibc

/// A text made line by line from `SampleGrammar`, with the probability of every line: a corpus of which it is
/// known how well a model can do. The same lines for the same seed.
public struct SampleText: Sequence, IteratorProtocol {
  public struct Line: Equatable, Sendable {
    public var words: [String]
    /// The natural logarithm of the line's probability, its end included.
    public var logProbability: Double
  }

  private var random: SplitMix64
  /// What each symbol met so far may become.
  private var expansions: [SampleGrammar.Symbol: Expansion] = [:]

  private struct Expansion {
    let choices: [SampleGrammar.Choice]
    let totalWeight: Double

    init(_ symbol: SampleGrammar.Symbol) {
      choices = SampleGrammar.choices(symbol).filter { $0.weight > 0 }
      totalWeight = choices.reduce(0) { $0 + $1.weight }
    }
  }

  public init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// The next line; there is always one.
  public mutating func next() -> Line? {
    var line = Line(words: [], logProbability: 0)
    append(SampleGrammar.start, to: &line)
    return line
  }

  private mutating func append(_ symbol: SampleGrammar.Symbol, to line: inout Line) {
    if case .word(let word) = symbol {
      line.words.append(word)
      return
    }
    let choice = choose(symbol, &line.logProbability)
    for symbol in choice.symbols { append(symbol, to: &line) }
  }

  private mutating func choose(
    _ symbol: SampleGrammar.Symbol, _ logProbability: inout Double
  ) -> SampleGrammar.Choice {
    let expansion = expansions[symbol] ?? Expansion(symbol)
    expansions[symbol] = expansion
    var rest = random.nextUnit() * expansion.totalWeight
    var chosen = expansion.choices[0]
    for choice in expansion.choices {
      chosen = choice
      if rest < choice.weight { break }
      rest -= choice.weight
    }
    logProbability += log(chosen.weight / expansion.totalWeight)
    return chosen
  }

  // MARK: Files

  /// Where `write` puts the text of a folder.
  public static func path(in directory: String) -> String { "\(directory)/sample.txt" }

  /// Writes `sample.txt`, and beside it `sample.logprob` with the natural-log probability of each line, one
  /// decimal number on a line. `progress` is told how many lines are done. Throws `FileError` and what `progress` throws.
  public static func write(
    lines: Int, seed: UInt64, to directory: String, progress: (Int) throws -> Void = { _ in }
  ) throws {
    try FileSystem.createDirectory(directory)
    let text = path(in: directory)
    // The inner one is finished first: where the text is, both are whole.
    try OutputFile.replace(text) { textFile in
      try OutputFile.replace(LineProbabilities.path(beside: text)) { probabilities in
        for (index, line) in SampleText(seed: seed).prefix(lines).enumerated() {
          try textFile.write(line.words.joined(separator: " ") + "\n")
          try probabilities.write("\(line.logProbability)\n")
          if index % 10_000 == 9_999 { try progress(index + 1) }
        }
      }
    }
  }
}
