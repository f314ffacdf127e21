/// What stands below the plot: what the kinds of lines mean, then the runs with their best values.
struct Legend {
  struct Entry {
    enum Mark { case thin, thick, best }

    let mark: Mark
    let style: LineStyle
    let name: String
    let detail: String
    /// Where the detail begins, from the left of the entry.
    var detailOffset: Double

    init(_ mark: Mark, _ style: LineStyle, _ name: String, _ detail: String = "") {
      self.mark = mark
      self.style = style
      self.name = name
      self.detail = detail
      detailOffset = Legend.nameOffset + (name.isEmpty ? 0 : TextWidth.of(name, size: Legend.fontSize) + Legend.gap)
    }

    var width: Double { detailOffset + TextWidth.of(detail, size: Legend.fontSize) }
  }

  /// Entries and their places, from the legend's left and from its top to the middle of the line.
  private(set) var entries: [(entry: Entry, x: Double, y: Double)] = []
  private(set) var height = 0.0

  static let swatchWidth = 30.0
  static let fontSize = 12.0
  private static let rowHeight = 20.0
  private static let gap = 7.0
  private static let columnGap = 26.0
  /// Names are cut to so much where that leaves them different, so that there is room for columns.
  private static let usualName = 250.0

  init(_ chart: LineChart, width: Double) {
    let isAlone = chart.series.count == 1
    placeInARow(Self.keys(chart, isAlone ? LineStyle(0) : .neutral), width)
    if !isAlone { placeInColumns(Self.runs(chart, width), width) }
  }

  /// Where the name begins.
  static var nameOffset: Double { swatchWidth + gap }

  private static func keys(_ chart: LineChart, _ style: LineStyle) -> [Entry] {
    func has(_ points: (LineChart.Series) -> [LineChart.Point]) -> Bool {
      chart.series.contains { points($0).contains(where: \.isDrawable) }
    }
    var keys: [Entry] = []
    if has(\.thin) { keys.append(Entry(.thin, style, chart.thinLabel)) }
    if has(\.thick) {
      keys.append(Entry(.thick, style, chart.thickLabel))
      let detail = chart.series.count == 1 ? detail(of: chart.series[0], chart) : ""
      keys.append(Entry(.best, style, chart.bestLabel, detail))
    }
    return keys
  }

  private static func runs(_ chart: LineChart, _ width: Double) -> [Entry] {
    let details = chart.series.map { detail(of: $0, chart) }
    let widest = details.map { TextWidth.of($0, size: fontSize) }.max() ?? 0
    let room = max(40, width - nameOffset - gap - widest)
    let names = distinct(chart.series.map(\.name), [min(usualName, room), room])
    return chart.series.indices.map { Entry(.thick, LineStyle($0), names[$0], details[$0]) }
  }

  private static func detail(of series: LineChart.Series, _ chart: LineChart) -> String {
    if let best = series.best(higherIsBetter: chart.higherIsBetter) {
      return "\(Axis.number(best.y)) (\(chart.xLabel) \(Axis.short(best.x)))"
    }
    return series.thin.contains(where: \.isDrawable) ? "" : "no values"
  }

  /// Names cut to the first of `widths` that leaves different ones different; numbered, where none does.
  private static func distinct(_ names: [String], _ widths: [Double]) -> [String] {
    for width in widths {
      let cut = names.map { TextWidth.cut($0, to: width, size: fontSize) }
      if Set(cut).count == Set(names).count { return cut }
    }
    return names.enumerated().map { index, name in
      let number = "\(index + 1): "
      let room = (widths.last ?? 0) - TextWidth.of(number, size: fontSize)
      return number + TextWidth.cut(name, to: room, size: fontSize)
    }
  }

  /// One after the other; what does not fit goes to the next line.
  private mutating func placeInARow(_ new: [Entry], _ width: Double) {
    var x = 0.0
    for entry in new {
      if x > 0 && x + entry.width > width {
        x = 0
        height += Self.rowHeight
      }
      entries.append((entry, x, height + Self.rowHeight / 2))
      x += entry.width + Self.columnGap
    }
    if !new.isEmpty { height += Self.rowHeight }
  }

  /// In as many columns as there is room for, filled from above; in each the details begin one below the other.
  private mutating func placeInColumns(_ new: [Entry], _ width: Double) {
    let rows = (1...max(1, new.count)).first { Self.columnsFit(Self.columns(new, rows: $0), width) } ?? new.count
    var x = 0.0
    for column in Self.columns(new, rows: rows) {
      for (row, entry) in column.enumerated() {
        entries.append((entry, x, height + (Double(row) + 0.5) * Self.rowHeight))
      }
      x += (column.map(\.width).max() ?? 0) + Self.columnGap
    }
    height += Double(rows) * Self.rowHeight
  }

  private static func columns(_ entries: [Entry], rows: Int) -> [[Entry]] {
    stride(from: 0, to: entries.count, by: rows).map { first in
      let column = entries[first..<min(first + rows, entries.count)]
      let offset = column.map(\.detailOffset).max() ?? 0
      return column.map { entry in
        var aligned = entry
        aligned.detailOffset = offset
        return aligned
      }
    }
  }

  private static func columnsFit(_ columns: [[Entry]], _ width: Double) -> Bool {
    let widths = columns.map { $0.map(\.width).max() ?? 0 }
    return widths.reduce(0, +) + Double(columns.count - 1) * columnGap <= width
  }
}
