import Foundation
import TestSupport
import Testing

@testable import Plots

@Suite struct ChartTests {
  @Test func theLowestPointIsMarkedWhereItIs() throws {
    let series = LineChart.Series(
      name: "a run", thin: points([90, 70, 50, 40, 30]), thick: points([80, 60, 20, 25, 31]))
    let elements = elements(LineChart.labelled([series]).svg())
    let ring = try #require(elements.first { $0.name == "circle" })
    // The curve goes through the ring at its third point.
    let line = try #require(elements.places(stroke: "#0072b2", width: 2.2).first { $0.count == 5 })
    #expect(line[2] == Place(x: ring.number("cx"), y: ring.number("cy")))
    #expect(line.allSatisfy { $0.y <= line[2].y })
    #expect(elements.texts().contains("20.00") && elements.texts().contains("20.00 (step 2)"))
    #expect(elements.texts().contains("training") && elements.texts().contains("validation"))
    // Equal distances for equal ratios, as the ticks are.
    #expect(abs((line[2].y - line[0].y) / (line[2].y - line[1].y) - log(4) / log(3)) < 0.01)
  }

  @Test func ofEqualsTheFirstIsTheLowest() {
    let series = LineChart.Series(name: "a", thick: points([.nan, 3, 2, 5, 2, .infinity, 0]))
    #expect(series.best(higherIsBetter: false) == LineChart.Point(x: 2, y: 2))
    #expect(LineChart.Series(name: "a", thin: points([1])).best(higherIsBetter: false) == nil)
  }

  @Test func textsAreEscaped() {
    let name = "a<b>&\"c\" 'd' ]]> \u{1}\u{7} 中文 é 🐈"
    var chart = LineChart.labelled([.init(name: name, thick: points([2, 3])), .init(name: "b", thick: points([2]))])
    chart.title = name
    chart.yLabel = "<y & z>"
    let elements = elements(chart.svg())
    let clean = name.replacing("\u{1}", with: "\u{FFFD}").replacing("\u{7}", with: "\u{FFFD}")
    #expect(elements.texts().filter { $0 == clean }.count == 2)
    #expect(elements.contains { $0.name == "title" && $0.text == clean })
    #expect(elements.texts().contains("<y & z>"))
  }

  @Test func longNamesLackTheirMiddleAndStayDifferent() {
    let middle = String(repeating: "hidden-512-", count: 20)
    let names = ["first", "second"].map { "\($0)-\(middle)-end" }
    let cut = elements(LineChart.labelled(names.map { .init(name: $0, thick: points([2])) }).svg()).texts()
    for start in ["first", "second"] {
      #expect(cut.contains { $0.hasPrefix(start) && $0.contains("…") && $0.hasSuffix("-end") })
    }
    // The whole names are there for who points at a curve.
    let twins = ["1", "2"].map { "\(middle)\($0)\(middle)" }
    let svg = elements(LineChart.labelled(twins.map { .init(name: $0, thick: points([2])) }).svg())
    for name in twins { #expect(svg.contains { $0.name == "title" && $0.text == name }) }
    #expect(svg.texts().contains { $0.hasPrefix("1: ") } && svg.texts().contains { $0.hasPrefix("2: ") })
    for text in svg.texts() { #expect(TextWidth.of(text, size: 12) < 860) }
  }

  @Test(arguments: [1, 2, 5, 13, 60], [320, 860])
  func legendEntriesDoNotMeet(runs: Int, width: Int) {
    var chart = LineChart.labelled(
      (0..<runs).map { index in
        .init(
          name: "run-\(index)" + String(repeating: "-long", count: index), thin: points([5, 4]),
          thick: points([4, Double(index) + 1]))
      })
    chart.width = width
    let legend = Legend(chart, width: Double(width) - 32)
    let boxes = legend.entries.map { entry, x, y in
      LabelPlacement.Box(
        left: x, top: y - 9,
        width: entry.width, height: 18)
    }
    #expect(boxes.count == (runs == 1 ? 3 : runs + 3))
    for (index, box) in boxes.enumerated() {
      #expect(box.right <= Double(width) - 32 + 0.01 && box.bottom <= legend.height)
      for other in boxes.dropFirst(index + 1) { #expect(!meet(box, other), "\(box) \(other)") }
    }
    // Between the plot and the lower edge.
    let picture = elements(chart.svg())
    let height = picture[0].number("height")
    #expect(picture.filter { $0.name == "text" }.allSatisfy { $0.number("y") < height })
    #expect(height >= 520)
  }

  private func meet(_ a: LabelPlacement.Box, _ b: LabelPlacement.Box) -> Bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
  }

  @Test func labelsOfTheSamePlaceDoNotMeet() {
    var placement = LabelPlacement(in: .init(left: 50, top: 40, width: 700, height: 300))
    let place = Place(x: 740, y: 330)
    let boxes = (0..<6).map { _ in placement.place(width: 40, height: 13, beside: place) }
    for (index, box) in boxes.enumerated() {
      #expect(box.left >= 50 && box.right <= 750 && box.top >= 40 && box.bottom <= 340)
      for other in boxes.dropFirst(index + 1) { #expect(!meet(box, other)) }
    }
  }

  @Test func labelsKeepOffCurves() {
    let area = LabelPlacement.Box(left: 0, top: 0, width: 400, height: 300)
    let (x, y) = (Axis(.linear, 0...400, from: 0, to: 400), Axis(.logarithmic, 1...1000, from: 300, to: 0))
    var placement = LabelPlacement(in: area)
    // A curve along the lower side of the point, where a label would stand first.
    let line = Polyline((0...400).map { .init(x: Double($0), y: 8) }, x: x, y: y)
    placement.add(line, weight: LabelPlacement.thickWeight)
    let box = placement.place(width: 40, height: 13, beside: Place(x: 200, y: y.position(10)))
    #expect(box.bottom < y.position(8) || box.top > y.position(8), "\(box)")
  }

  @Test func aRunThatGoesAstrayLeavesRoomForTheOthers() {
    let good = points((0..<100).map { 300 * exp(-Double($0) / 30) + 6 })
    var bad = points((0..<100).map { exp(Double($0) * Double($0) / 12) })
    for index in 90..<100 { bad[index].y = index < 95 ? .infinity : .nan }
    let svg = LineChart.labelled([.init(name: "good", thin: good), .init(name: "bad", thin: bad)]).svg()
    let elements = elements(svg)
    let line = elements.places(stroke: "#0072b2", width: 1.2).flatMap { $0 }
    let heights = line.map(\.y)
    #expect((heights.max() ?? 0) - (heights.min() ?? 0) > 60, "\(heights)")
    // The other leaves the plot at the top, and is no longer there where it is no number.
    let astray = elements.places(stroke: "#d55e00", width: 1.2).flatMap { $0 }
    #expect((astray.map(\.y).min() ?? 0) < 0 && (astray.map(\.x).max() ?? 0) < (line.map(\.x).max() ?? 0))
  }

  @Test func theSteepBeginningHasNoRoomUnlessAskedFor() {
    var chart = LineChart.labelled([
      .init(name: "a", thin: points((0..<1000).map { 6 + 300 * exp(-Double($0) / 10) }), thick: points([9, 7, 8]))
    ])
    func top() -> Double {
      elements(chart.svg()).places(stroke: "#0072b2", width: 1.2).flatMap { $0 }.map(\.y).min() ?? .nan
    }
    // Above the plot, whose upper edge is at 64, or within it.
    #expect(top() < 0)
    chart.highest = 306
    #expect(top() > 64)
    chart.highest = 1
    #expect(elements(chart.svg()).contains { $0.name == "circle" && $0.number("r") == 4.5 })
  }

  @Test func whateverTheValuesThePictureIsWhole() {
    let extremes = [
      .leastNonzeroMagnitude, 1e-100, 1e-12, 1, 1e7, 1e100, .greatestFiniteMagnitude, .infinity, .nan, 0, -1,
      .leastNormalMagnitude,
    ]
    var random = SeededRandom(seed: 5)
    for _ in 0..<300 {
      let values = (0..<Int.random(in: 0...6, using: &random)).map { _ in
        LineChart.Point(
          x: [0, 1, 2, 1e14, -1e14, 1e300, .nan, .infinity].randomElement(using: &random) ?? 0,
          y: extremes.randomElement(using: &random) ?? 0)
      }
      let chart = LineChart.labelled([.init(name: "a", thin: values, thick: values), .init(name: "b", thin: values)])
      let elements = elements(chart.svg())
      #expect(elements[0].name == "svg")
      #expect(!chart.svg().contains("nan") && !chart.svg().contains("inf"))
      if values.allSatisfy({ !$0.isDrawable }) { #expect(elements.texts().contains("no values to draw")) }
    }
  }

  @Test func manyRowsMakeASmallPicture() {
    var random = SeededRandom(seed: 9)
    let series = (0..<5).map { run in
      LineChart.Series(
        name: "run \(run)", thin: points((0..<100_000).map { _ in exp(.random(in: 1...5, using: &random)) }),
        thick: points((1...50).map { 100 / Double($0) }))
    }
    let svg = LineChart.labelled(series).svg()
    #expect(svg.utf8.count < 5 * 4 * 860 * 13, "\(svg.utf8.count) bytes")
    // Two lists of tens of thousands in one picture: as many as there are columns, not rows.
    #expect(elements(svg).places(stroke: "#0072b2", width: 1.2).flatMap { $0 }.count <= 4 * 860)
  }

  @Test func runsAreDrawnEachInItsOwnWay() {
    let styles = (0..<42).map { LineStyle($0) }
    for (index, style) in styles.enumerated() {
      #expect(!styles.dropFirst(index + 1).contains(style))
      #expect(style.dashes != LineStyle(index + 1).dashes && style.color != LineStyle(index + 1).color)
    }
    // Without validation the training curve is the one that has to be told apart.
    let series = (0..<2).map { LineChart.Series(name: "\($0)", thin: points([3, 2, Double($0) + 1])) }
    let curves = elements(LineChart.labelled(series).svg()).filter { $0.number("stroke-opacity") == 1 }
    #expect(curves.map { $0.attributes["stroke-dasharray"] } == ["none", "10 4"])
  }

  @Test func anEmptyChartSaysSo() {
    #expect(elements(LineChart().svg()).texts() == ["no values to draw"])
    let elements = elements(LineChart.labelled([.init(name: "a"), .init(name: "b", thin: points([3]))]).svg())
    #expect(elements.texts().contains("no values") && !elements.texts().contains("no values to draw"))
  }
}
