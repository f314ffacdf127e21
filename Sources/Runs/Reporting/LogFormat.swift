import Runs
import TaskMetrics

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

  /// `metrics` are those of the task; `style` and the time between progress lines are those of text.
  public func makeReporter(_ metrics: [Metric], style: ProgressStyle, interval: Duration) -> any Reporter {
    switch self {
    case .text: TextReporter(metrics, style: style, interval: interval)
    case .json: JSONReporter()
    }
  }
}
