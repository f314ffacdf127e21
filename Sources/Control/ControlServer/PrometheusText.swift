import ControlAPI
import Glibc
import TaskMetrics

/// A status in Prometheus' text format, version 0.0.4. What is not known is left out.
enum PrometheusText {
  static func text(_ status: Status) -> String {
    var page = MetricsPage()
    page.add("lockstep_build_info", .gauge, "The program, by its version.", 1, ["version": status.version])
    page.add("lockstep_uptime_seconds", .gauge, "Since the daemon was started.", status.uptime)
    page.add(
      "lockstep_activity", .gauge, "1 for what the ranks do now, 0 for what else they might.",
      Status.Activity.allCases.map {
        (["activity": $0.rawValue, "mode": status.mode.rawValue], $0 == status.activity ? 1 : 0)
      })
    page.add(
      "lockstep_control_cpu_seconds_total", .counter, "Processor time of the thread that answers requests.",
      threadSeconds())
    if let run = status.run { add(run, to: &page) }
    for (name, help, value) in [
      ("step", "A rank's own work in a step, mean over the last few.", \RankStatus.stepSeconds),
      ("wait", "A rank's waiting for others in a step, mean over the last few.", \RankStatus.waitSeconds),
    ] {
      page.add(
        "lockstep_rank_\(name)_seconds", .gauge, help,
        status.ranks.map {
          (["rank": "\($0.rank)", "host": $0.host, "role": $0.role.rawValue], $0[keyPath: value])
        })
    }
    page.add(
      "lockstep_step_spread_ratio", .gauge, "The slowest rank's own work in a step, in those of the median rank.",
      spread(status.ranks.filter { $0.role == .training }.map(\.stepSeconds)))
    return page.text
  }

  private static func spread(_ seconds: [Double]) -> Double? {
    let sorted = seconds.sorted()
    guard let slowest = sorted.last, sorted[(sorted.count - 1) / 2] > 0 else { return nil }
    return slowest / sorted[(sorted.count - 1) / 2]
  }

  private static func add(_ run: RunStatus, to page: inout MetricsPage) {
    let counters: [(String, String, Int)] = [
      ("steps", "Steps the run has taken.", run.step),
      ("tokens", "Tokens it has learned from.", run.tokens),
      ("skipped_steps", "Steps left out because their loss or gradient was no number.", run.skippedSteps),
      ("saved_checkpoints", "Checkpoints saved since the daemon was started.", run.savedCheckpoints),
      ("delayed_checkpoints", "Those that had to wait for the one before.", run.delayedCheckpoints),
    ]
    for (name, help, value) in counters {
      page.add("lockstep_run_\(name)_total", .counter, help, Double(value), ["run": run.name])
    }
    let gauges: [(String, String, Double?)] = [
      ("planned_steps", "Steps the run will have taken at its end.", Double(run.totalSteps)),
      ("epoch", "The epoch under way, from 1.", Double(run.epoch)),
      ("planned_epochs", "Epochs the run has.", Double(run.epochs)),
      ("parameters", "Parameters of the model.", Double(run.parameters)),
      ("learning_rate", "Learning rate of the last step.", run.learningRate),
      ("gradient_norm", "Norm of the last step's gradient, before clipping.", run.gradientNorm),
      ("tokens_per_second", "Tokens learned from, of all ranks.", run.tokensPerSecond),
      ("remaining_seconds", "What the run is guessed to take yet.", run.secondsLeft),
      ("best_step", "Step of the best validation.", run.bestStep.map(Double.init)),
      ("copied_step", "Step of the newest checkpoint that a second host has too.", run.copiedStep.map(Double.init)),
    ]
    for (name, help, value) in gauges {
      page.add("lockstep_run_\(name)", .gauge, help, value, ["run": run.name])
    }
    for (prefix, help, values) in [
      ("", "of the last step", run.training), ("validation_", "of the last evaluation", run.validation),
      ("best_", "of the best evaluation", run.best),
    ] {
      for metric in run.metrics {
        page.add(
          "lockstep_run_\(prefix)\(name(of: metric))", .gauge,
          "\(metric.title.prefix(1).uppercased())\(metric.title.dropFirst()) \(help)\(metric.unit.isEmpty ? "" : ", in \(metric.unit)").",
          values[metric.name], ["run": run.name])
      }
    }
  }

  /// As Prometheus wants it: in small letters, the unit behind (`loss_nats`).
  private static func name(of metric: Metric) -> String {
    let words = metric.title.split(separator: " ") + metric.unit.split(separator: " ").prefix(1)
    return words.joined(separator: "_")
  }

  /// Of the thread that asks: the server's own, which does nothing else.
  private static func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Metrics as text, a family after another.
private struct MetricsPage {
  enum Kind: String { case counter, gauge }

  private(set) var text = ""

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double?, _ labels: [String: String] = [:]) {
    if let value { add(name, kind, help, [(labels, value)]) }
  }

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [([String: String], Double)]) {
    if samples.isEmpty { return }
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    for (labels, value) in samples {
      let list = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }
      text += name + (list.isEmpty ? "" : "{\(list.joined(separator: ","))}") + " \(Self.number(value))\n"
    }
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return Int(exactly: value).map(String.init) ?? "\(value)"
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
