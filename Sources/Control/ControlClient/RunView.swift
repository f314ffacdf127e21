import ControlAPI
import Foundation
import TaskMetrics

/// What is known of a run that is watched, and how it is shown: a screen that is drawn again and again, or lines.
public struct RunView: Sendable {
  /// A connection that was lost.
  public struct Outage: Equatable, Sendable {
    public var reason: String
    public var seconds: Double

    public init(reason: String, seconds: Double) {
      self.reason = reason
      self.seconds = seconds
    }
  }

  public private(set) var status: Status?
  /// The job that is watched, once the daemon has said how it is.
  public private(set) var job: Job?
  /// Its number; nil for a run without a queue.
  public var jobID: Int?
  public var outage: Outage?
  private var plot = CurvePlot()
  private var curvesRun: String?
  private var notes: [StyledLine] = []

  /// Rows of the training curve kept; beyond that every other is dropped, which a plot this small does not show.
  private static let mostPoints = 8000
  private static let mostNotes = 50

  public init() {}

  // MARK: - What is told

  /// Takes in an event; gives back what of it stays, as a line for people: nil for what is soon out of date.
  @discardableResult
  public mutating func apply(_ event: Event) -> StyledLine? {
    switch event {
    case .status(let new): status = new
    case .curves(let rows): append(rows)
    case .evaluation(let found):
      let shown = found.metrics.filter { $0.isHeadline || $0.name == found.metrics.first?.name }
      let values = shown.compactMap { metric in
        found.values[metric.name].map { "\(metric.title) \(Readable.number($0)) " }
      }
      return note(
        "\(found.part.rawValue) \(values.joined())at step \(found.step) (\(Readable.duration(found.seconds)))")
    case .sample(let sample):
      return note("step \(sample.step), temperature \(sample.temperature): \(sample.prompt)\(sample.text)", .faint)
    case .job(let changed):
      guard changed.id == jobID else { return nil }
      let before = job?.state
      job = changed
      guard changed.state != before else { return nil }
      let reason = changed.error.map { ": \($0)" } ?? ""
      return note(
        "job \(changed.id) (\(changed.name)) is \(changed.state.rawValue)\(reason)",
        changed.state == .failed ? .error : .strong)
    case .log(let line):
      let tint: StyledLine.Tint =
        switch line.level {
        case .info: .plain
        case .warning: .warning
        case .error: .error
        }
      return note("\(Readable.clock(line.time))  \(line.message)", tint)
    }
    return nil
  }

  /// Puts the whole curves in place of what there was.
  public mutating func replaceCurves(_ curves: CurveTables) {
    plot = CurvePlot()
    append(curves)
  }

  /// The metric whose curve is drawn: the first that people look at.
  private var drawn: Metric? { (status?.run?.metrics ?? .ofLanguageModels).headlines.first }

  private mutating func append(_ rows: CurveTables) {
    if rows.run != curvesRun { plot = CurvePlot() }
    curvesRun = rows.run
    guard let drawn else { return }
    plot.metric = drawn
    Self.append(rows.training.step, rows.training.metrics[drawn.name] ?? [], to: &plot.training)
    Self.append(rows.validation.step, rows.validation.metrics[drawn.name] ?? [], to: &plot.validation)
  }

  /// A run that went on from a checkpoint repeats steps: what it now says of them holds.
  private static func append(_ steps: [Int], _ values: [Double?], to points: inout [CurvePlot.Point]) {
    if let first = steps.first { points.removeAll { $0.step >= first } }
    for (step, value) in zip(steps, values) {
      if let value { points.append(CurvePlot.Point(step: step, value: value)) }
    }
    while points.count > mostPoints {
      let last = points.count - 1
      points = points.enumerated().filter { $0.offset.isMultiple(of: 2) || $0.offset == last }.map(\.element)
    }
  }

  private mutating func note(_ text: String, _ tint: StyledLine.Tint = .plain) -> StyledLine {
    let line = StyledLine(text, tint)
    notes.append(line)
    if notes.count > Self.mostNotes { notes.removeFirst() }
    return line
  }

  // MARK: - What is shown

  /// The run that the daemon has, if it is the one that is watched.
  public var run: RunStatus? {
    guard let run = status?.run else { return nil }
    return jobID == nil || job?.name == run.name ? run : nil
  }

  /// One line on how it stands now.
  public var progress: String {
    guard let run, job?.state != .waiting && job?.state != .paused else {
      return job.map { "job \($0.id) (\($0.name)) is \($0.state.rawValue)" }
        ?? status.map { "\($0.activity.rawValue), no run" } ?? "waiting for the daemon"
    }
    let activity = status.flatMap { $0.activity == .training ? nil : $0.activity.rawValue }
    let parts = [
      activity, "epoch \(run.epoch)/\(run.epochs)", "step \(run.step)/\(run.totalSteps)",
      drawn.flatMap { metric in run.training[metric.name].map { "\(metric.title) \(Readable.number($0))" } },
      drawn.flatMap { metric in
        run.validation[metric.name].map {
          "validation \(run.training[metric.name] == nil ? "\(metric.title) " : "")\(Readable.number($0))"
        }
      },
      run.learningRate.map { "rate \(Readable.short($0))" },
      run.tokensPerSecond.map { "\(Readable.throughput($0)) tokens/s" },
      run.secondsLeft.map { "\(Readable.duration($0)) left" },
    ]
    return parts.compactMap { $0 }.joined(separator: "  ")
  }

  /// A screen of at most `height` lines: how it stands, the curves, the ranks, what was said last.
  public func screen(width: Int, height: Int, _ characters: CurvePlot.Characters) -> [StyledLine] {
    var head = [title]
    if let run { head += StatusText.run(run, width: width, characters) }
    let ranks = run == nil ? [] : StatusText.ranks(status?.ranks ?? [], most: max(2, height / 5))
    let noteRows = min(notes.count, max(1, height / 6))
    // What is left is for the curves, with their legend, their steps, and an empty line above and below.
    let room = height - head.count - ranks.count - noteRows - 4
    var lines = head
    if run != nil { lines += curves(width: min(width, 120), height: min(room, 16), characters) }
    lines += ranks
    if noteRows > 0 { lines += [StyledLine()] + notes.suffix(noteRows) }
    return Array(lines.prefix(height))
  }

  private var title: StyledLine {
    if let outage {
      return StyledLine(
        "no connection for \(Readable.duration(outage.seconds)), trying again: \(outage.reason)", .error)
    }
    var line = StyledLine(job.map { "job \($0.id)  \($0.name)" } ?? run?.name ?? "lockstep", .strong)
    let state = job.flatMap { $0.state == .running ? nil : $0.state.rawValue } ?? status?.activity.rawValue ?? ""
    line.add("  \(state)")
    if let status { line.add("  daemon \(status.version), up \(Readable.duration(status.uptime))", .faint) }
    return line
  }

  private func curves(width: Int, height: Int, _ characters: CurvePlot.Characters) -> [StyledLine] {
    let rows = height >= 4 ? plot.rows(width: width, height: height, characters) : []
    if rows.isEmpty { return [] }
    var legend = StyledLine("\(plot.metric.title)  ", .faint)
    legend.add(characters == .braille ? "\u{2812}\u{2812}" : "**", .training)
    legend.add(" training  ", .faint)
    legend.add("o", .validation)
    legend.add(" validation", .faint)
    return [StyledLine(), legend]
      + rows.map { row in
        var line = StyledLine()
        for run in row.chunks() { line.add(run.text, run.ink.tint) }
        return line
      }
  }
}

extension [(character: Character, ink: CurvePlot.Ink)] {
  /// Neighbours of one ink put together.
  fileprivate func chunks() -> [(text: String, ink: CurvePlot.Ink)] {
    reduce(into: []) { chunks, cell in
      if let last = chunks.last, last.ink == cell.ink {
        chunks[chunks.count - 1].text.append(cell.character)
      } else {
        chunks.append((String(cell.character), cell.ink))
      }
    }
  }
}

extension CurvePlot.Ink {
  fileprivate var tint: StyledLine.Tint {
    switch self {
    case .none: .plain
    case .axis: .faint
    case .training: .training
    case .validation: .validation
    }
  }
}
