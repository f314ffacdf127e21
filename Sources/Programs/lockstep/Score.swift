import ArgumentParser
import Files
import Foundation
import Inference
import Kernels
import Runs
import Terminal

struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells how probable a model finds each line.",
    discussion: """
      Writes the natural logarithm of each line's probability and the line, in the
      order of the lines or, with --rank, the most probable first: for choosing
      among what a recognizer or translator offers. A line is read as if it stood
      alone, after the end of another; its own end counts. Both can be left out:
      --no-begin --no-end scores a piece of a line by itself, from its second token
      on. Lines end at LF or CRLF and have 16 MiB at most. Words that the model does not know count as <unk>; a
      line with an unknown character is impossible, -inf: which one and where is told
      on standard error, and with --format json in the line's object.

        lockstep score words.h5 hypotheses.txt --rank
        printf 'to be or\\nbe to or\\n' | lockstep score tiny.h5 - --rank --by token
        lockstep score tiny.h5 lines.txt --per-token --format json
      """)

  enum Measure: String, CaseIterable, ExpressibleByArgument {
    case sentence
    case token
  }

  @OptionGroup var model: MixedModelArgument

  @Argument(help: "A file with a line for each text to score; - is standard input.", completion: .file())
  var lines: String

  @Flag(
    inversion: .prefixedNo,
    help: "Whether a line is read after the end of another; else its first token is only read, and does not count.")
  var begin = true

  @Flag(inversion: .prefixedNo, help: "Whether a line's end counts.")
  var end = true

  @Flag(help: "Writes the most probable first; of equals, the first.")
  var rank = false

  @Option(
    help:
      "What is written and ranked by: the sentence's logarithm, or its mean for a token, which does not prefer short lines."
  )
  var by: Measure = .sentence

  @Flag(help: "Writes each token's logarithm too.")
  var perToken = false

  @Option(help: "text or json (an object on each line).")
  var format: OutputFormat = .text

  private struct Line {
    let number: Int
    let text: [UInt8]
    let score: LineScore
  }

  func run() throws {
    try OutputCheck.standardOutput(madeOf: [lines])
    let model = try model.openToCompute()
    let threads = OneDNN.threads
    let scorer = try LineScorer(model, begin: begin, end: end)
    let reader = try LineReader(lines)
    let meter = ProgressMeter("scoring")
    var ranked: [Line] = []
    var impossible = 0
    var isAtEnd = false
    while !isAtEnd {
      let batch = Self.nextLines(of: reader)
      isAtEnd = batch.isLast
      // Few lines are too little work to be shared by threads, which would wait for each other.
      try OneDNN.setThreads(batch.lines.count < Self.linesToShare ? 1 : threads)
      let named = batch.lines.map { (text: $0.text, source: "\(reader.name), line \($0.number)") }
      for ((number, text), (source, result)) in zip(
        batch.lines, zip(named.map(\.source), try scorer.score(named, withTokens: perToken)))
      {
        let score = try result.get()
        if let found = score.impossible, format == .text {
          impossible += 1
          meter.finish()
          if impossible <= Self.toldLines { Console.error("warning: \(source): impossible, \(Self.reason(found))\n") }
        }
        let line = Line(number: number, text: text, score: score)
        if rank { ranked.append(line) } else { try show(line) }
      }
      if let problem = batch.problem { throw problem }
      if rank || !Console.outputIsTerminal { meter.show(reader.bytes, of: reader.size) }
    }
    meter.finish()
    if impossible > Self.toldLines {
      Console.error("warning: \(impossible) lines are impossible; --format json tells the reason of each\n")
    }
    let best = ranked.sorted { value($0) == value($1) ? $0.number < $1.number : value($0) > value($1) }
    for line in best { try show(line) }
  }

  /// As many lines as are best scored at once, but no line is waited for once there is one; with what is wrong with the one
  /// after them.
  private static func nextLines(
    of reader: LineReader
  ) -> (lines: [(number: Int, text: [UInt8])], isLast: Bool, problem: (any Error)?) {
    var lines: [(number: Int, text: [UInt8])] = []
    let end = reader.bytes + mostBytes
    do {
      while lines.isEmpty || lines.count < LineScorer.batchSize && reader.bytes < end && reader.isReady {
        guard let text = try reader.next() else { return (lines, true, nil) }
        lines.append((reader.count, text))
      }
    } catch {
      return (lines, true, error)
    }
    return (lines, false, nil)
  }

  /// Of lines that are scored at once.
  private static let mostBytes = 1 << 20
  /// From so many on all threads score them.
  private static let linesToShare = 64

  /// Impossible lines whose reason is told on standard error.
  private static let toldLines = 20

  private static func reason(_ found: LineScore.Impossible) -> String {
    "since character \(found.position) is \(quoted(String(found.character).utf8)) (\(codePoint(found.character))), which "
      + "the model's vocabulary lacks"
  }

  /// As Unicode writes it.
  private static func codePoint(_ scalar: Unicode.Scalar) -> String { String(format: "U+%04X", scalar.value) }

  private func value(_ line: Line) -> Double {
    by == .sentence ? line.score.logProbability : line.score.meanLogProbability
  }

  private func show(_ line: Line) throws {
    try Console.checkOutput()
    switch format {
    case .text:
      Console.output(String(format: "%.6f\t", value(line)).utf8 + line.text + [UInt8(ascii: "\n")])
      guard perToken else { return }
      for token in line.score.tokens {
        Console.output(String(format: "  %.6f\t", token.logProbability) + quoted(token.text) + "\n")
      }
    case .json:
      let tokens = line.score.tokens.map {
        let token = JSONBytes($0.text)
        return Report.Token(
          id: $0.id, token: token.text, tokenBytes: token.hexadecimal, logProbability: $0.logProbability)
      }
      let text = JSONBytes(line.text)
      let report = Report(
        line: line.number, text: text.text, textBytes: text.hexadecimal, logProbability: line.score.logProbability,
        meanLogProbability: line.score.meanLogProbability,
        predictions: line.score.predictions, unknown: line.score.unknown,
        impossible: line.score.impossible.map {
          Report.Impossible(
            character: String($0.character), codePoint: Self.codePoint($0.character), position: $0.position)
        }, tokens: perToken ? tokens : nil)
      Console.output(try jsonText(report) + "\n")
    }
  }

  private struct Report: Encodable {
    struct Token: Encodable {
      let id: Int32
      let token: String
      let tokenBytes: String?
      let logProbability: Double
    }

    struct Impossible: Encodable {
      let character: String
      let codePoint: String
      let position: Int
    }

    let line: Int
    let text: String
    let textBytes: String?
    let logProbability: Double
    let meanLogProbability: Double
    let predictions: Int
    let unknown: Int
    let impossible: Impossible?
    let tokens: [Token]?
  }
}
