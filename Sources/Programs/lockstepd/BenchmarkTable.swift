import Files
import Foundation
import Networks
import Runs

/// What was measured, for people.
enum BenchmarkTable {
  static func text(_ results: [Benchmark.Result]) -> String {
    results.map(text).joined(separator: "\n")
  }

  private static func text(_ result: Benchmark.Result) -> String {
    let milliseconds = result.stepSeconds * 1000
    var lines = [
      "\(result.name): \(counted(result.layers, "layer")) of \(result.hidden) (\(result.cell)), vocabulary \(result.vocabulary), "
        + "\(format(result.lanesPerRank)) lanes a rank, windows of \(result.sequenceLength)",
      "  \(counted(result.ranks, "rank")) of \(counted(result.threads, "thread")), "
        + "\(counted(result.steps, "step")) of \(format(milliseconds)) ms (median)",
      "  \(Int(result.tokensPerSecond)) tokens/s, \(format(result.gflops)) GFLOP/s, "
        + "\(format(100 * result.shareOfPeak)) % of the peak of \(format(result.peakGflops))",
      "  most memory of a rank: \((result.peakResidentBytes.max() ?? 0) / 1_000_000) MB",
      "  where the time of a step goes, mean:",
    ]
    let total = result.breakdown.values.reduce(0, +)
    for part in StepTimes.Part.allCases {
      let seconds = result.breakdown["\(part)"] ?? 0
      let share = String(format: "%5.1f %%", 100 * seconds / max(total, .leastNormalMagnitude))
      lines.append(
        "    \(words(for: part).padding(toLength: 20, withPad: " ", startingAt: 0))"
          + String(format: "%9.3f ms", seconds * 1000) + "  \(share)")
    }
    if result.exchange.bytesPerStep > 0 {
      lines.append(
        String(
          format: "  exchange: %.2f MB a rank, %.3f ms by itself, %.3f ms of that hidden",
          Double(result.exchange.bytesPerStep) / 1e6, result.exchange.seconds * 1000,
          result.exchange.hiddenSeconds * 1000))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func words(for part: StepTimes.Part) -> String {
    switch part {
    case .input: "input, embedding"
    case .recurrentForward: "recurrent, forward"
    case .output: "output layer"
    case .recurrentBackward: "recurrent, backward"
    case .exchange: "exchange"
    case .update: "clip and update"
    case .waiting: "waiting for others"
    }
  }

  private static func format(_ value: Double) -> String {
    value.rounded() == value ? "\(Int(value))" : String(format: value < 10 ? "%.2f" : "%.1f", value)
  }
}
