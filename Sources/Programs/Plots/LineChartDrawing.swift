import Foundation

/// A chart being drawn: where its parts are, and what they are as SVG.
struct LineChartDrawing {
  private let chart: LineChart
  private let legend: Legend
  /// Where the curves are.
  private let area: LabelPlacement.Box
  private let x: Axis
  private let y: Axis
  private let height: Double
  private let thin: [Polyline]
  private let thick: [Polyline]

  private static let margin = 16.0
  private static let titleSize = 16.0
  private static let labelSize = 12.0
  /// Between the plot and the legend: names of ticks, and of the axis.
  private static let belowPlot = 50.0
  private static let ringRadius = 4.5

  init(_ chart: LineChart) {
    self.chart = chart
    let width = Double(chart.width)
    legend = Legend(chart, width: width - 2 * Self.margin)
    let top = Self.margin + (chart.title.isEmpty ? 0 : 26) + 22
    let bottom = Self.belowPlot + legend.height + Self.margin / 2
    let plotHeight = max(Double(chart.height) - top - bottom, Double(chart.height) / 2)
    height = max(Double(chart.height), top + plotHeight + bottom)

    let points = chart.series.flatMap { $0.thin + $0.thick }.filter(\.isDrawable)
    let across = Self.xRange(points.map(\.x))
    let steepEnd = across.lowerBound + 0.02 * (across.upperBound - across.lowerBound)
    y = Axis(
      chart.scale == .logarithmic ? .logarithmic : .linear, Self.yRange(chart, points, from: steepEnd),
      from: top + plotHeight, to: top)
    let labels = y.ticks(spacing: Self.ySpacing).map { TextWidth.of($0.label, size: Self.labelSize) }
    let left = Self.margin + max(labels.max() ?? 0, 24) + 8
    area = LabelPlacement.Box(left: left, top: top, width: width - Self.margin - left, height: plotHeight)
    let x = Axis(.linear, across, from: area.left, to: area.right)
    self.x = x
    let y = y
    thin = chart.series.map { Polyline($0.thin, x: x, y: y) }
    thick = chart.series.map { Polyline($0.thick, x: x, y: y) }
  }

  private static let ySpacing = 28.0
  private static let xSpacing = 80.0

  /// From the lowest point to the highest that there is to be room for; the steep beginning of runs is left of `left`.
  private static func yRange(_ chart: LineChart, _ points: [LineChart.Point], from left: Double) -> ClosedRange<Double>
  {
    guard let least = points.map(\.y).min() else { return 1...10 }
    let most = max(least, chart.highest ?? usualTop(chart, points, from: left))
    if chart.scale == .linear {
      let room = max(0.04 * (most - least), 0.01 * most)
      return least - room...most + room
    }
    let top = log10(most)
    // At least one percent to either side.
    let room = max(0.04 * (top - log10(least)), 0.0043)
    return pow(10, log10(least) - room)...pow(10, top + room)
  }

  /// What thick curves need, and thin ones right of `left`; some of every run; but not what a run needs that has gone
  /// astray.
  private static func usualTop(_ chart: LineChart, _ points: [LineChart.Point], from left: Double) -> Double {
    let tops = chart.series.map { series in
      let thin = series.thin.filter(\.isDrawable)
      let thick = series.thick.filter(\.isDrawable)
      let seen = (thin.filter { $0.x >= left } + thick).map(\.y).max() ?? 0
      return max(seen, thin.map(\.y).min() ?? 0)
    }
    return min(tops.max() ?? 0, 1e4 * points.map(\.y).sorted()[points.count / 2])
  }

  /// From 0, if it is not far off.
  private static func xRange(_ values: [Double]) -> ClosedRange<Double> {
    guard let least = values.min(), let most = values.max() else { return 0...1 }
    guard least < most else { return least - 0.5...least + 0.5 }
    let lower = least >= 0 && least < most / 10 ? 0 : least - 0.01 * (most - least)
    return lower...most + 0.02 * (most - lower)
  }

  // MARK: - The picture

  func text() -> String {
    let size = (SVG.number(Double(chart.width)), SVG.number(height))
    let parts = [
      SVG.element("title", [:], SVG.escaped(chart.title.isEmpty ? chart.yLabel : chart.title)),
      SVG.element("rect", ["width": size.0, "height": size.1, "fill": Ink.background]),
      heading(), grid(), curves(), marks(), key(),
    ]
    return SVG.element(
      "svg",
      [
        "xmlns": "http://www.w3.org/2000/svg", "width": size.0, "height": size.1, "viewBox": "0 0 \(size.0) \(size.1)",
        "role": "img", "font-family": "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
        "font-size": SVG.number(Self.labelSize),
      ], "\n" + parts.filter { !$0.isEmpty }.joined(separator: "\n") + "\n") + "\n"
  }

  private func heading() -> String {
    var parts: [String] = []
    if !chart.title.isEmpty {
      let title = TextWidth.cut(chart.title, to: Double(chart.width) - 2 * Self.margin, size: Self.titleSize)
      parts.append(
        SVG.element(
          "text",
          [
            "x": SVG.number(Self.margin), "y": SVG.number(Self.margin + 13), "fill": Ink.text,
            "font-size": SVG.number(Self.titleSize), "font-weight": "600",
          ], SVG.escaped(title)))
    }
    if !chart.yLabel.isEmpty {
      parts.append(label(chart.yLabel, Place(x: Self.margin, y: area.top - 10), anchor: "start"))
    }
    return parts.joined(separator: "\n")
  }

  private func label(_ text: String, _ place: Place, anchor: String, fill: String = Ink.secondary) -> String {
    SVG.element(
      "text",
      ["x": SVG.number(place.x), "y": SVG.number(place.y), "fill": fill, "text-anchor": anchor],
      SVG.escaped(text))
  }

  private func grid() -> String {
    func horizontal(_ values: [Double]) -> String {
      values.map { "M\(SVG.number(area.left)) \(SVG.number(y.position($0)))H\(SVG.number(area.right))" }.joined()
    }
    func vertical(_ values: [Double]) -> String {
      values.map { "M\(SVG.number(x.position($0))) \(SVG.number(area.top))V\(SVG.number(area.bottom))" }.joined()
    }
    func lines(_ path: String, _ color: String) -> String {
      SVG.element("path", ["d": path, "fill": "none", "stroke": color, "stroke-width": "1"])
    }
    guard hasPoints else { return "" }
    let (unit, unitName) = Self.unit(x.upper)
    let xTicks = x.ticks(spacing: Self.xSpacing, isWhole: chart.xIsWhole, unit: unit)
    let yTicks = y.ticks(spacing: Self.ySpacing)
    var parts = [
      lines(horizontal(y.minorTicks(spacing: Self.ySpacing)), Ink.minorGrid),
      lines(horizontal(yTicks.map(\.value)) + vertical(xTicks.map(\.value)), Ink.grid),
      lines(
        "M\(SVG.number(area.left)) \(SVG.number(area.top))V\(SVG.number(area.bottom))H\(SVG.number(area.right))",
        Ink.axis),
    ]
    for tick in yTicks {
      parts.append(label(tick.label, Place(x: area.left - 8, y: y.position(tick.value) + 4), anchor: "end"))
    }
    for tick in xTicks {
      // The last one may be wider than the margin.
      let rightmost = Double(chart.width) - TextWidth.of(tick.label, size: Self.labelSize) / 2
      let place = Place(x: min(x.position(tick.value), rightmost), y: area.bottom + 18)
      parts.append(label(tick.label, place, anchor: "middle"))
    }
    let middle = Place(x: area.left + area.width / 2, y: area.bottom + 38)
    parts.append(label(chart.xLabel + unitName, middle, anchor: "middle"))
    return parts.joined(separator: "\n")
  }

  private static func unit(_ most: Double) -> (Double, String) {
    if most >= 2e9 { return (1e9, " (billions)") }
    return most >= 2e6 ? (1e6, " (millions)") : (1, "")
  }

  private var hasPoints: Bool { (thin + thick).contains { !$0.pieces.isEmpty } }

  /// The faint ones below, all within the plot.
  private func curves() -> String {
    guard hasPoints else {
      return label(
        "no values to draw", Place(x: area.left + area.width / 2, y: area.top + area.height / 2), anchor: "middle")
    }
    let (left, top) = (SVG.number(area.left), SVG.number(area.top))
    let (width, height) = (SVG.number(area.width), SVG.number(area.height))
    let content = chart.series.indices.map { thinCurve($0) } + chart.series.indices.map { thickCurve($0) }
    return SVG.element(
      "svg",
      [
        "x": left, "y": top, "width": width, "height": height, "viewBox": "\(left) \(top) \(width) \(height)",
        "fill": "none", "stroke-linecap": "round", "stroke-linejoin": "round",
      ], "\n" + content.filter { !$0.isEmpty }.joined(separator: "\n") + "\n")
  }

  private func thinCurve(_ index: Int) -> String {
    let line = thin[index]
    guard !line.pieces.isEmpty else { return "" }
    // The only curve of a run has to be told from others.
    let style = LineStyle(index)
    let isAlone = thick[index].pieces.isEmpty
    return curve(
      line, index, color: style.color, width: LineStyle.thinWidth, dashes: isAlone ? style.dashes : "",
      opacity: isAlone ? "1" : LineStyle.thinOpacity)
  }

  private func thickCurve(_ index: Int) -> String {
    let line = thick[index]
    guard !line.pieces.isEmpty else { return "" }
    let style = LineStyle(index)
    let dots = dots(line)
    let points = dots.isEmpty ? "" : SVG.element("path", ["d": dots, "stroke": style.color, "stroke-width": "5"])
    return curve(line, index, color: style.color, width: LineStyle.thickWidth, dashes: style.dashes, opacity: "1")
      + points
  }

  private func curve(
    _ line: Polyline, _ index: Int, color: String, width: Double, dashes: String, opacity: String
  ) -> String {
    // Whoever points at a curve is told the whole name.
    SVG.element(
      "path",
      [
        "d": line.path, "stroke": color, "stroke-width": SVG.number(width), "stroke-opacity": opacity,
        "stroke-dasharray": dashes.isEmpty ? "none" : dashes,
      ], SVG.element("title", [:], SVG.escaped(chart.series[index].name)))
  }

  /// A dot for each place, where there are so few that they stand apart.
  private func dots(_ line: Polyline) -> String {
    let places = line.pieces.joined()
    guard Double(places.count) * 12 <= area.width else { return "" }
    return places.map { "M\(SVG.number($0.x)) \(SVG.number($0.y))h0" }.joined()
  }

  // MARK: - Lowest points

  private func marks() -> String {
    let rings = chart.series.enumerated().compactMap { index, series in
      series.best(higherIsBetter: chart.higherIsBetter).map {
        (index, $0, Place(x: x.position($0.x), y: y.position($0.y)))
      }
    }.filter { $0.2.y >= area.top }
    var placement = LabelPlacement(in: area)
    for line in thin { placement.add(line, weight: LabelPlacement.thinWeight) }
    for line in thick { placement.add(line, weight: LabelPlacement.thickWeight) }
    for (_, _, place) in rings {
      let size = 2 * Self.ringRadius
      placement.add(
        LabelPlacement.Box(
          left: place.x - Self.ringRadius, top: place.y - Self.ringRadius, width: size, height: size))
    }
    var leaders: [String] = []
    var labels: [String] = []
    for (index, point, place) in rings {
      let text = Axis.number(point.y)
      let width = TextWidth.of(text, size: Self.labelSize) + swatchWidth
      let box = placement.place(width: width, height: Self.labelSize + 1, beside: place)
      leaders.append(leader(from: place, to: box, LineStyle(index)))
      labels.append(valueLabel(text, box, LineStyle(index)))
    }
    let parts = leaders + rings.map { ring($0.2, LineStyle($0.0)) } + labels
    return parts.filter { !$0.isEmpty }.joined(separator: "\n")
  }

  /// Room before a value for what says whose it is.
  private var swatchWidth: Double { chart.series.count > 1 ? 10 : 0 }

  private func ring(_ place: Place, _ style: LineStyle) -> String {
    SVG.element(
      "circle",
      [
        "cx": SVG.number(place.x), "cy": SVG.number(place.y), "r": SVG.number(Self.ringRadius),
        "fill": Ink.background, "stroke": style.color, "stroke-width": "2",
      ])
  }

  private func valueLabel(_ text: String, _ box: LabelPlacement.Box, _ style: LineStyle) -> String {
    // A square, for points are round.
    let swatch =
      swatchWidth > 0
      ? SVG.element(
        "rect",
        [
          "x": SVG.number(box.left), "y": SVG.number(box.top + box.height / 2 - 3.5), "width": "7", "height": "7",
          "fill": style.color,
        ]) : ""
    return swatch
      + SVG.element(
        "text",
        [
          "x": SVG.number(box.left + swatchWidth), "y": SVG.number(box.bottom - 2.5), "font-weight": "600",
          "fill": Ink.text, "stroke": Ink.background, "stroke-width": "3", "stroke-linejoin": "round",
          "paint-order": "stroke",
        ], SVG.escaped(text))
  }

  /// A line to a label that is not right beside its point.
  private func leader(from place: Place, to box: LabelPlacement.Box, _ style: LineStyle) -> String {
    let end = Place(x: min(max(place.x, box.left), box.right), y: min(max(place.y, box.top), box.bottom))
    let (dx, dy) = (end.x - place.x, end.y - place.y)
    let length = (dx * dx + dy * dy).squareRoot()
    guard length > 20 else { return "" }
    let start = Place(x: place.x + dx / length * Self.ringRadius, y: place.y + dy / length * Self.ringRadius)
    return SVG.element(
      "path",
      [
        "d": "M\(SVG.number(start.x)) \(SVG.number(start.y))L\(SVG.number(end.x)) \(SVG.number(end.y))",
        "stroke": style.color, "stroke-width": "1",
      ])
  }

  // MARK: - Legend

  private func key() -> String {
    legend.entries.map { entry, x, y in
      let left = Self.margin + x
      let middle = area.bottom + Self.belowPlot + y
      let swatch = swatch(entry, left, middle)
      let name = label(
        entry.name, Place(x: left + Legend.nameOffset, y: middle + 4), anchor: "start", fill: Ink.text)
      let detail = label(
        entry.detail, Place(x: left + entry.detailOffset, y: middle + 4), anchor: "start")
      return swatch + name + (entry.detail.isEmpty ? "" : detail)
    }.joined(separator: "\n")
  }

  private func swatch(_ entry: Legend.Entry, _ left: Double, _ middle: Double) -> String {
    let line = "M\(SVG.number(left)) \(SVG.number(middle))h\(SVG.number(Legend.swatchWidth))"
    switch entry.mark {
    case .thin:
      return SVG.element(
        "path",
        [
          "d": line, "stroke": entry.style.color, "stroke-width": SVG.number(LineStyle.thinWidth),
          "stroke-opacity": LineStyle.thinOpacity,
        ])
    case .thick:
      return SVG.element(
        "path",
        [
          "d": line, "stroke": entry.style.color, "stroke-width": SVG.number(LineStyle.thickWidth),
          "stroke-dasharray": entry.style.dashes.isEmpty ? "none" : entry.style.dashes,
        ])
    case .best: return ring(Place(x: left + Legend.swatchWidth / 2, y: middle), entry.style)
    }
  }
}
