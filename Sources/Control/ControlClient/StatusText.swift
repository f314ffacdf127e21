import ControlAPI
import Files
import Foundation
import TaskMetrics

/// A status in lines for people.
public enum StatusText {
  /// All of it.
  public static func lines(_ status: Status) -> [StyledLine] {
    var first = StyledLine(status.activity.rawValue, .strong)
    first.add("  \(status.mode == .serve ? "a daemon with a queue" : "one run"), version \(status.version), ")
    first.add("up \(Readable.duration(status.uptime))")
    var lines = [first]
    if let run = status.run {
      lines.append(StyledLine("run \(run.name), \(run.parameters.formatted()) parameters"))
      lines += Self.run(run, width: 80, .ascii)
    }
    return lines + ranks(status.ranks, most: .max)
  }

  /// Where a run stands: a bar and two lines of numbers.
  static func run(_ run: RunStatus, width: Int, _ characters: CurvePlot.Characters) -> [StyledLine] {
    let part = run.totalSteps > 0 ? min(1, max(0, Double(run.step) / Double(run.totalSteps))) : 0
    var text = "step \(run.step.formatted()) of \(run.totalSteps.formatted())"
    text += "  epoch \(run.epoch)/\(run.epochs)  \(Int(part * 100)) %"
    if let left = run.secondsLeft { text += "  \(Readable.duration(left)) left" }
    let barWidth = min(40, max(8, width - text.count - 2))
    let filled = Int(part * Double(barWidth))
    let (done, toDo): (String, String) = characters == .braille ? ("\u{2501}", "\u{2500}") : ("#", ".")
    var bar = StyledLine(String(repeating: done, count: filled), .training)
    bar.add(String(repeating: toDo, count: barWidth - filled), .faint)
    bar.add("  \(text)")

    var quality = StyledLine()
    for (index, metric) in run.metrics.headlines.enumerated() {
      let name = index == 0 ? metric.title : "  \(metric.title)"
      let isTrained = run.training[metric.name] != nil || run.validation[metric.name] == nil
      quality.add(isTrained ? "\(name) \(Readable.number(run.training[metric.name]))" : name, .training)
      if let value = run.validation[metric.name] {
        quality.add("\(isTrained ? "  validation" : "") \(Readable.number(value))", .validation)
      }
      if let best = run.best[metric.name] {
        quality.add("  best \(Readable.number(best))\(run.bestStep.map { " at step \($0)" } ?? "")")
      }
    }
    let numbers = [
      run.tokensPerSecond.map { "\(Readable.throughput($0)) tokens/s" },
      run.learningRate.map { "rate \(Readable.short($0))" },
      run.gradientNorm.map { "gradient norm \(Readable.short($0))" },
      run.savedCheckpoints > 0
        ? "\(counted(run.savedCheckpoints, "checkpoint")) saved" : nil,
      run.copiedStep.map { "step \($0) also on \(Readable.line(run.copyHost ?? "another host"))" },
      run.skippedSteps > 0 ? "\(counted(run.skippedSteps, "step")) skipped" : nil,
    ].compactMap { $0 }
    return [bar, quality] + (numbers.isEmpty ? [] : [StyledLine(numbers.joined(separator: "  "))])
  }

  /// A line for each rank, the slowest first if there are more than `most`: how long it works and waits in a step.
  static func ranks(_ ranks: [RankStatus], most: Int) -> [StyledLine] {
    guard !ranks.isEmpty else { return [] }
    let shown =
      ranks.count <= most ? ranks : Array(ranks.sorted { $0.stepSeconds > $1.stepSeconds }.prefix(max(1, most - 1)))
    let rows = shown.map { rank in
      [
        "\(rank.rank)", Readable.line(rank.host), rank.role == .training ? milliseconds(rank.stepSeconds) : "evaluates",
        rank.role == .training ? milliseconds(rank.waitSeconds) : "", bar(rank),
      ]
    }
    let table = Readable.table([["rank", "host", "step", "waits", ""]] + rows)
    var lines = [StyledLine(), StyledLine(table[0], .faint)]
    for (rank, text) in zip(shown, table.dropFirst()) {
      lines.append(StyledLine(rank.isStraggler ? "\(text)  slow" : text, rank.isStraggler ? .warning : .plain))
    }
    if shown.count < ranks.count { lines.append(StyledLine("and \(ranks.count - shown.count) more", .faint)) }
    return lines
  }

  /// The part of a step that is work, in ten characters.
  private static func bar(_ rank: RankStatus) -> String {
    let step = rank.stepSeconds + rank.waitSeconds
    guard rank.role == .training, step > 0, step.isFinite else { return "" }
    let work = Int((min(1, max(0, rank.stepSeconds / step)) * 10).rounded())
    return String(repeating: "#", count: work) + String(repeating: ".", count: 10 - work)
  }

  private static func milliseconds(_ seconds: Double) -> String {
    seconds.isFinite ? String(format: "%.1f ms", seconds * 1000) : "?"
  }
}
