import Files
import Foundation
import Runs
import TaskMetrics
import Terminal
import Training

/// Writes events for people: lines that stay, and one that tells what is under way.
public final class TextReporter: Reporter {
  private let style: ProgressStyle
  private let interval: Duration
  private let clock = ContinuousClock()
  private var lastStatus: ContinuousClock.Instant?
  private var statusIsShown = false
  private let metrics: [Metric]
  private var work: (name: String, left: TimeLeft)?

  /// `metrics` are those of the task; `interval` is the time between progress lines of the plain style.
  public init(_ metrics: [Metric], style: ProgressStyle, interval: Duration) {
    self.metrics = metrics
    self.style = style
    self.interval = style == .live ? .milliseconds(200) : interval
  }

  public func report(_ event: RunEvent) {
    switch event {
    case .begins(let name, let directory): line("run \(name) begins in \(directory)")
    case .configuration(let yaml):
      line("configuration")
      for entry in yaml.split(separator: "\n", omittingEmptySubsequences: false) where !entry.isEmpty {
        line("  \(entry)")
      }
    case .preparing(let phase, let done, let total):
      working("preparing the corpus: \(phase)", done, total)
    case .corpus(let corpus):
      line(
        "corpus   \(counted(corpus.textFiles, "file")) of \(corpus.tokenizer), "
          + "vocabulary \(corpus.vocabularySize.formatted()); tokens: "
          + "\(corpus.trainingTokens.formatted()) training (\(corpus.unusedTokens.formatted()) left over), "
          + "\(corpus.validationTokens.formatted()) validation, \(corpus.testTokens.formatted()) test"
          + (corpus.unknownTokens > 0 ? "; \(corpus.unknownTokens.formatted()) are <unk>" : ""))
    case .model(let model):
      line(
        "model    \(model.parameters.formatted()) parameters, about \(megabytes(model.memoryBytes)) a rank")
      line(
        "ranks    \(model.ranks), \(counted(model.threads, "thread")) each; "
          + "oneDNN \(model.oneDNN) with \(model.instructionSet)")
      line("steps    \(model.stepsPerEpoch.formatted()) an epoch, \(model.totalSteps.formatted()) in all")
    case .warning(let message): line("warning: \(message)")
    case .resumed(let name, let path, let step, let epoch):
      line("run \(name) resumes at step \(step) (\(counted(epoch, "epoch")) complete) from \(path)")
    case .begunFrom(let path, let known, let size):
      let all = known == size ? "all \(size)" : "\(known) of \(size)"
      line("beginning with \(path), which knows \(all) tokens\(known == size ? "" : "; the others get new rows")")
    case .step(let step):
      work = nil
      status(text(step))
    case .evaluating(let done, let total): working("evaluating", done, total)
    case .epoch(let epoch):
      work = nil
      line(text(epoch))
    case .validation(let point, let isBest):
      work = nil
      line(
        "step \(point.step)  validation \(shown(point.metrics, between: ", "))" + (isBest ? "  best" : ""))
    case .curve, .saved, .copied: break
    case .fetched(let host, let step, let path): line("brought step \(step) from \(host) to \(path)")
    case .distributed(let summary): line(Self.text(summary))
    case .test(let values): line("test     \(metrics.line(values, Self.number))")
    case .sample(let sample):
      line("")
      line("sample at temperature \(sample.temperature)")
      for entry in (sample.prompt + sample.text).split(separator: "\n", omittingEmptySubsequences: false) {
        line("  | \(entry)")
      }
    case .finished(let summary): finish(summary)
    case .interrupted(let reason, let step, let checkpoint):
      guard let step, let checkpoint else {
        line("stopped (\(reason)) while it was being prepared; start it again")
        return
      }
      line("stopped (\(reason)) after step \(step); start it again to resume from \(checkpoint)")
    }
  }

  private func finish(_ summary: RunEvent.FinishSummary) {
    line("")
    line(
      summary.trained
        ? "finished (\(summary.reason)) after \(counted(summary.epochs, "epoch")), \(counted(summary.steps, "step")), "
          + "\(duration(summary.trainingSeconds)) of training"
        : "this run is finished (\(summary.reason)) after \(counted(summary.epochs, "epoch")), \(counted(summary.steps, "step")); "
          + "\(Self.remedy(summary.reason)) to continue, or give it another name to start a new run")
    line("checkpoint \(summary.checkpoint)")
    if let best = summary.bestCheckpoint { line("best validation after epoch \(summary.bestEpoch): \(best)") }
    for metric in metrics.headlines {
      if let value = summary.test[metric.name] { line("test \(metric.title) \(Self.number(value))") }
    }
    let isEarlier = summary.validationEpoch.map { $0 * summary.stepsPerEpoch < summary.steps } ?? false
    let epoch = isEarlier ? ", after epoch \(summary.validationEpoch ?? 0)" : ""
    for metric in metrics.headlines {
      guard let value = summary.validation[metric.name] else { continue }
      let source = summary.source[metric.name].map { " (the source's own: \(Self.number($0)))" } ?? ""
      line("validation \(metric.title) \(Self.number(value))\(epoch)\(source)")
    }
  }

  /// What lets a run go on that ended for this reason.
  private static func remedy(_ reason: String) -> String {
    switch TrainingProgress.FinishReason(rawValue: reason) {
    case .maximumSteps: "raise training.maximumSteps"
    case .patience: "raise training.patience"
    case .epochs, nil: "raise training.epochs"
    }
  }

  // MARK: - Lines

  /// A line that stays.
  private func line(_ text: String) {
    Console.output((statusIsShown ? "\r\u{1B}[K" : "") + text + "\n")
    statusIsShown = false
  }

  /// What is under way: written over by the next, or every now and then a line of its own.
  private func status(_ text: String) {
    let now = clock.now
    if let lastStatus, now - lastStatus < interval { return }
    lastStatus = now
    switch style {
    case .live:
      Console.output("\r\u{1B}[K" + text.prefix(79))
      statusIsShown = true
    case .plain:
      line(text)
    }
  }

  /// Progress of a piece of work that is named.
  private func working(_ name: String, _ done: Int, _ total: Int) {
    if work?.name != name { work = (name, TimeLeft()) }
    status("\(name) \(work?.left.text(done, of: total) ?? "")")
  }

  private func text(_ step: RunEvent.StepSummary) -> String {
    // A line that is written over must fit into 80 columns: what wraps cannot be taken back.
    let parts = [
      "epoch \(Self.pad(step.epoch, like: step.epochs))/\(step.epochs)",
      "step \(Self.pad(step.step, like: step.totalSteps))/\(step.totalSteps)",
      shown(step.metrics, between: style == .live ? " " : "  "),
      style == .live ? nil : "rate \(Self.short(step.learningRate))",
      "\(Self.thousands(step.tokensPerSecond)) tokens/s",
      step.secondsLeft.isNaN ? nil : "\(duration(step.secondsLeft)) left",
    ]
    return parts.compactMap { $0 }.joined(separator: style == .live ? " " : "  ")
  }

  /// Each value after the name of its metric.
  private func shown(_ values: [String: Double], between gap: String = " ") -> String {
    metrics.compactMap { metric in values[metric.name].map { "\(metric.title) \(Self.number($0))" } }
      .joined(separator: gap)
  }

  private func text(_ epoch: RunEvent.EpochSummary) -> String {
    // What decides is told of validation alone, where there is another to look at.
    let training = epoch.training.filter { metrics[$0.key]?.isHeadline ?? false }
    var text =
      "epoch \(Self.pad(epoch.epoch, like: epoch.epochs))/\(epoch.epochs)  "
      + "training \(shown(training.isEmpty ? epoch.training : training))  "
    if epoch.missingSteps > 0 { text += "(without its first \(counted(epoch.missingSteps, "step"))) " }
    if !epoch.validation.isEmpty {
      text += "validation \(shown(epoch.validation))\(epoch.isBest ? " *" : "  ")  "
    }
    return text + "\(Self.thousands(epoch.tokensPerSecond)) tokens/s  \(duration(epoch.seconds))"
  }

  private static func text(_ summary: RunEvent.DistributionSummary) -> String {
    let sent = summary.hosts.filter { $0.bytes > 0 }.map { "\(megabytes($0.bytes)) to \($0.host)" }
    if sent.isEmpty { return "tokens   every host has those that it needs" }
    return "tokens   \(summary.source) sent \(sent.joined(separator: ", ")), of \(megabytes(summary.corpusBytes)), in "
      + String(format: "%.1f s", summary.seconds)
  }

  private static func pad(_ value: Int, like widest: Int) -> String {
    let text = String(value)
    return String(repeating: " ", count: max(0, String(widest).count - text.count)) + text
  }

  /// Four significant digits for what is usual, fewer for what is huge.
  private static func number(_ value: Double) -> String {
    if !value.isFinite || value >= 100_000 { return String(format: "%.3g", value) }
    return String(format: value < 10 ? "%.4f" : value < 1000 ? "%.2f" : "%.0f", value)
  }

  private static func short(_ value: Double) -> String { String(format: "%.3g", value) }

  private static func thousands(_ value: Double) -> String {
    value >= 10_000 ? String(format: "%.1fk", value / 1000) : String(format: "%.0f", value)
  }
}
