import Foundation
import TestSupport
import Testing

@testable import Plots

@Suite struct CurveTests {
  private let x = Axis(.linear, 0...100_000, from: 50, to: 750)
  private let y = Axis(.logarithmic, 1e-3...1e3, from: 400, to: 40)

  @Test func thinningKeepsWhatIsSeen() {
    var random = SeededRandom(seed: 1)
    let points = (0..<100_000).map {
      LineChart.Point(x: Double($0), y: exp(.random(in: -5...5, using: &random)))
    }
    let line = Polyline(points, x: x, y: y)
    let kept = line.pieces.flatMap { $0 }
    #expect(line.pieces.count == 1 && kept.count <= 4 * 701)
    let places = points.map { Place(x: x.position($0.x), y: y.position($0.y)) }
    #expect(kept.first == places.first && kept.last == places.last)
    #expect(zip(kept, kept.dropFirst()).allSatisfy { $0.x < $1.x })
    // Column by column: what is highest, lowest, first and last.
    func columns(_ places: [Place]) -> [[Double]] {
      let groups = Dictionary(grouping: places) { Int($0.x) }
      return groups.keys.sorted().map { column in
        let heights = groups[column, default: []].map(\.y)
        return [Double(column), heights.min() ?? 0, heights.max() ?? 0, heights.first ?? 0, heights.last ?? 0]
      }
    }
    #expect(columns(kept) == columns(places))
  }

  @Test func fewPointsStayAsTheyAre() {
    let line = Polyline(points([9, 7, 8]), x: x, y: y)
    #expect(line.pieces.map(\.count) == [3])
  }

  @Test func whatIsNoNumberIsAGap() {
    let values: [Double] = [.nan, 3, 4, .infinity, 5, 0, -1, -.infinity, 6, 7, 8, .nan]
    let line = Polyline(points(values), x: x, y: y)
    #expect(line.pieces.map(\.count) == [2, 1, 3])
    #expect(line.pieces[1] == [Place(x: x.position(4), y: y.position(5))])
    #expect(Polyline(points([.nan, 0]), x: x, y: y).pieces.isEmpty)
  }

  @Test func aPointByItselfIsADot() {
    let axis = Axis(.linear, 0...10, from: 0, to: 100)
    let line = Polyline([.init(x: 5, y: 10)], x: axis, y: Axis(.logarithmic, 1...100, from: 100, to: 0))
    #expect(line.path == "M50 50h0")
    let same = Polyline(
      [.init(x: 5, y: 10), .init(x: 5, y: 10)], x: axis, y: Axis(.logarithmic, 1...100, from: 100, to: 0))
    #expect(same.path == "M50 50h0")
  }

  @Test(arguments: [1, 2, 3, 7, 10, 1000])
  func smoothingIsTheMeanOfTheLogarithms(rows: Int) {
    var random = SeededRandom(seed: rows)
    let losses = (0..<200).map { _ in Double.random(in: 0...8, using: &random) }
    let smoothed = LineChart.smoothed(points(losses.map { exp($0) }), over: rows)
    #expect(smoothed.map(\.x) == (0..<200).map(Double.init))
    for index in losses.indices {
      let half = (rows - 1) / 2
      let first = max(0, index - half)
      let last = min(losses.count - 1, index < half ? 2 * index : index + rows / 2)
      let window = losses[first...last]
      #expect(abs(log(smoothed[index].y) - window.reduce(0, +) / Double(window.count)) < 1e-12)
    }
  }

  @Test func smoothingDoesNotReachOverGaps() {
    let values: [Double] = [1, 1, 1, .nan, 100, 100, .infinity, 7]
    let smoothed = LineChart.smoothed(points(values), over: 5).map(\.y)
    #expect(smoothed[3].isNaN && smoothed[6] == .infinity)
    for (index, value) in values.enumerated() where value.isFinite {
      #expect(abs(smoothed[index] / value - 1) < 1e-12)
    }
  }
}
