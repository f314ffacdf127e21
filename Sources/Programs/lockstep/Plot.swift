import ArgumentParser
import Checkpoints
import Files
import Foundation
import Plots
import Runs
import TaskMetrics
import Terminal

struct Plot: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draws the curves of runs: their perplexity, or another metric.",
    discussion: """
      Training is thin and faint, validation thick, with its best value marked; each
      run has a colour and a dash pattern of its own. A PNG is made by rsvg-convert.

        lockstep plot checkpoints/default --output curves.svg
        lockstep plot checkpoints/a checkpoints/b --x tokens --output both.png
        lockstep plot checkpoints/a --from 1000 --smooth 100 --output - > end.svg
        lockstep plot checkpoints/a --format json | jq '.runs[0].best.perplexity'
      """)

  enum HorizontalAxis: String, CaseIterable, ExpressibleByArgument {
    case step
    case epoch
    case tokens
  }

  @Argument(help: "A run's folder, its curves.h5, or a checkpoint.", completion: .file(extensions: ["h5"]))
  var runs: [String]

  @Option(
    help: ArgumentHelp(
      "The picture: a file that ends in .svg or .png, or - for SVG on standard output.", valueName: "file"),
    completion: .file(extensions: ["svg", "png"]))
  var output: String?

  @Option(help: "What the curves are drawn over: step, epoch or tokens.")
  var x: HorizontalAxis = .step

  @Option(
    help: ArgumentHelp(
      "The metric that is drawn, as in loss. Default: the first that the runs' task puts before people.",
      valueName: "name"))
  var metric: String?

  @Option(help: ArgumentHelp("The first step that is drawn.", valueName: "step"))
  var from: Int?

  @Option(help: ArgumentHelp("The last step that is drawn.", valueName: "step"))
  var to: Int?

  @Option(
    help: ArgumentHelp(
      "The highest value that is drawn. Default: one that leaves out the steep beginning.",
      valueName: "value"))
  var highest: Double?

  @Flag(inversion: .prefixedNo, help: "Draw the training curves.")
  var training = true

  @Option(
    help: ArgumentHelp(
      "Rows of the training curve that each of its points is the mean of; 1: none but its own. Default: a hundredth of the rows.",
      valueName: "rows"))
  var smooth: Int?

  @Option(help: "What stands above. Default: the run's name.")
  var title: String?

  @Option(help: "Width in pixels.")
  var width = LineChart().width

  @Option(help: "Height in pixels; a long legend takes more.")
  var height = LineChart().height

  @Option(help: "Pixels of a PNG for each pixel of width and height.")
  var zoom = 2.0

  @Option(help: "text, or json: the rows in place of a picture, on standard output.")
  var format: OutputFormat = .text

  private static let largest = 4000

  func validate() throws {
    switch (format, output) {
    case (.text, nil):
      throw ValidationError("--output is missing; expected a file that ends in .svg or .png, or - for standard output")
    case (.text, let output?): _ = try Destination(output)
    case (.json, nil): break
    case (.json, _?):
      throw ValidationError("--format json writes rows to standard output; leave out --output, or --format")
    }
    if let from, let to, from > to { throw ValidationError("--from is \(from), after --to, which is \(to)") }
    if let smooth, smooth < 1 { throw ValidationError("--smooth is \(smooth); expected at least 1") }
    if let highest, !(highest > 0 && highest.isFinite) {
      throw ValidationError("--highest is \(highest); expected a number above 0")
    }
    for (name, size, smallest) in [
      ("--width", width, LineChart.smallest.width), ("--height", height, LineChart.smallest.height),
    ] where size < smallest || size > Self.largest {
      throw ValidationError("\(name) is \(size); expected \(smallest) to \(Self.largest)")
    }
    guard zoom >= 0.5, zoom <= 4 else { throw ValidationError("--zoom is \(zoom); expected 0.5 to 4") }
  }

  private enum Destination {
    case standardOutput, svg, png

    init(_ path: String) throws {
      switch (path as NSString).pathExtension.lowercased() {
      case _ where path == "-": self = .standardOutput
      case "svg": self = .svg
      case "png": self = .png
      default:
        throw ValidationError(
          "--output is \(path); expected a name that ends in .svg or .png, or - for standard output")
      }
    }
  }

  func run() throws {
    if let output { try OutputCheck.file(output, madeOf: runs) }
    let records = try RunRecord.read(runs, needsCard: x == .epoch)
    guard let output else {
      let report = PlotReport(runs: records.map { PlotReport.Run($0, rows(of: $0)) })
      return Console.output(try jsonText(report, pretty: true) + "\n")
    }
    let svg = try chart(of: records).svg()
    switch try Destination(output) {
    case .standardOutput: Console.output(svg)
    case .svg: try OutputFile.replace(output) { try $0.write(svg) }
    case .png: try PNGFile.write(svg: svg, to: output, zoom: zoom)
    }
  }

  private var steps: ClosedRange<Int> { (from ?? .min)...(to ?? .max) }

  /// What is asked for of a run.
  private func rows(of record: RunRecord) -> Curves {
    var rows = Curves(like: record.curves)
    rows.validation = record.curves.validation.filter { steps.contains($0.step) }
    if training { rows.training = record.curves.training.filter { steps.contains($0.step) } }
    return rows
  }

  // MARK: - The chart

  private func chart(of records: [RunRecord]) throws -> LineChart {
    let curves = records.map(rows)
    let metric = try drawnMetric(records)
    let windows = curves.map { smooth ?? max(1, $0.training.count / 100) }
    var chart = LineChart()
    chart.title = title ?? (records.count == 1 ? records[0].name : "\(records.count) runs")
    chart.xLabel = x.rawValue
    chart.yLabel = metric.title
    chart.scale = Self.scale(metric)
    chart.higherIsBetter = metric.better == .higher
    chart.xIsWhole = x != .epoch
    chart.thinLabel = "training" + Self.note(windows)
    chart.thickLabel = "validation"
    chart.bestLabel = "best"
    chart.highest = highest
    chart.width = width
    chart.height = height
    for (index, record) in records.enumerated() {
      let place = try horizontalScale(record)
      let series = LineChart.Series(
        name: record.name, thin: training ? smoothed(record, metric, over: windows[index], place) : [],
        thick: curves[index].validation.map { LineChart.Point(x: place($0.step), y: $0[metric.name]) })
      if !chart.draws(series) {
        Console.error("warning: \(PlotError.nothingToDraw(record.path, metric: metric.title, rows: rowsAsked))\n")
      }
      chart.series.append(series)
    }
    guard chart.series.contains(where: chart.draws) else {
      throw PlotError.nothingToDraw(
        records.map(\.path).joined(separator: ", "), metric: metric.title, rows: rowsAsked)
    }
    return chart
  }

  /// What is asked for, or what people look at first.
  private func drawnMetric(_ records: [RunRecord]) throws -> Metric {
    let all = records.flatMap { $0.curves.validationMetrics + $0.curves.trainingMetrics }
    guard let metric else { return records[0].curves.headlines.first ?? all[0] }
    if let found = all[metric] { return found }
    throw PlotError.unknownMetric(metric, known: all.map(\.name))
  }

  private static func scale(_ metric: Metric) -> LineChart.Scale {
    metric.scale == .logarithmic ? .logarithmic : .linear
  }

  /// The training curve. Steps that are not drawn count in the means of those that are.
  private func smoothed(
    _ record: RunRecord, _ metric: Metric, over rows: Int, _ place: (Int) -> Double
  ) -> [LineChart.Point] {
    let training = record.curves.training
    let points = training.map { LineChart.Point(x: place($0.step), y: $0[metric.name]) }
    return zip(training, LineChart.smoothed(points, over: rows, Self.scale(metric))).filter {
      steps.contains($0.0.step)
    }.map(\.1)
  }

  /// Where a step of a run is drawn.
  private func horizontalScale(_ record: RunRecord) throws -> (Int) -> Double {
    switch x {
    case .step: return { Double($0) }
    case .epoch:
      guard let stepsPerEpoch = record.stepsPerEpoch else { throw PlotError.unknownEpochs(record.path) }
      return { Double($0) / stepsPerEpoch }
    case .tokens:
      let tokensPerStep = record.tokensPerStep ?? 0
      return { Double($0) * tokensPerStep }
    }
  }

  /// How the training curves were smoothed, if they were.
  private static func note(_ windows: [Int]) -> String {
    guard let least = windows.min(), let most = windows.max(), most > 1 else { return "" }
    return " (mean of \(least == most ? "" : "\(least) to ")\(most) rows)"
  }

  private var rowsAsked: String {
    let kind = training ? "training or validation" : "validation"
    switch (from, to) {
    case (nil, nil): return kind
    case (let from?, nil): return "\(kind) from step \(from)"
    case (nil, let to?): return "\(kind) up to step \(to)"
    case (let from?, let to?): return "\(kind) from step \(from) to \(to)"
    }
  }
}

extension LineChart {
  fileprivate func draws(_ series: Series) -> Bool {
    (series.thin + series.thick).contains { $0.y.isFinite && $0.y > 0 }
  }
}

/// A run whose curves cannot be drawn as asked.
enum PlotError: Error, CustomStringConvertible, Equatable {
  case nothingToDraw(String, metric: String, rows: String)
  case unknownMetric(String, known: [String])
  case unknownEpochs(String)

  var description: String {
    switch self {
    case .unknownMetric(let name, let known):
      "--metric is \(name); expected one that the runs have: "
        + known.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }.joined(separator: ", ")
    case .nothingToDraw(let path, let metric, let rows):
      "\(path): expected a finite \(metric) of \(rows), found none; draw other steps, or wait until there is one"
    case .unknownEpochs(let path):
      "\(path): expected the end of an epoch, or a checkpoint beside it, to know how many steps an epoch has; "
        + "draw over steps or tokens, or name the run's folder"
    }
  }
}

/// The rows of `lockstep plot --format json`.
private struct PlotReport: Encodable {
  struct Run: Encodable {
    let name: String
    let path: String
    let best: ValidationPoint?
    let training: [TrainingPoint]
    let validation: [ValidationPoint]

    init(_ record: RunRecord, _ rows: Curves) {
      name = record.name
      path = record.path
      best = rows.best
      training = rows.training
      validation = rows.validation
    }
  }

  let runs: [Run]
}
