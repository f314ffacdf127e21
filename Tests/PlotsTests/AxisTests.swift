import Foundation
import TestSupport
import Testing

@testable import Plots

@Suite struct AxisTests {
  @Test func equalRatiosAreEqualDistances() {
    let axis = Axis(.logarithmic, 1...10_000, from: 500, to: 100)
    for (value, place) in [(1.0, 500.0), (10, 400), (100, 300), (1000, 200), (10_000, 100)] {
      #expect(abs(axis.position(value) - place) < 1e-9)
    }
    #expect(abs(axis.position(50) - axis.position(5) + 100) < 1e-9)
    let linear = Axis(.linear, -1...3, from: 0, to: 200)
    #expect(linear.position(-1) == 0 && linear.position(1) == 100 && linear.position(3) == 200)
  }

  @Test(arguments: [
    (1.0...1000.0, "1 2 5 10 20 50 100 200 500 1,000"),
    (6.0...300.0, "7 10 20 30 50 70 100 200 300"),
    (6.31...6.62, "6.35 6.40 6.45 6.50 6.55 6.60"),
    (4.0...11.0, "4 5 6 7 8 9 10 11"),
    (1e-3...1e9, "0.001 0.01 0.1 1 10 100 1,000 10,000 100,000 1,000,000 10⁷ 10⁸ 10⁹"),
    (1.0...1e40, "1 100,000 10¹⁰ 10¹⁵ 10²⁰ 10²⁵ 10³⁰ 10³⁵ 10⁴⁰"),
  ])
  func logarithmicTicksAreRound(range: ClosedRange<Double>, expected: String) {
    let labels = Axis(.logarithmic, range, from: 400, to: 0).ticks(spacing: 28).map(\.label)
    #expect(labels.joined(separator: " ") == expected)
  }

  @Test(arguments: [
    (0.0...3584.0, 1.0, "0 500 1,000 1,500 2,000 2,500 3,000 3,500"), (0.0...2.0, 1.0, "0 1 2"),
    (0.0...7.3e6, 1e6, "0 1 2 3 4 5 6 7"), (0.0...2.4e6, 1e6, "0.0 0.5 1.0 1.5 2.0"),
    (99_990.0...100_010.0, 1.0, "99,990 99,995 100,000 100,005 100,010"),
  ])
  func linearTicksAreRound(range: ClosedRange<Double>, unit: Double, expected: String) {
    let labels = Axis(.linear, range, from: 0, to: 700).ticks(spacing: 80, isWhole: true, unit: unit).map(\.label)
    #expect(labels.joined(separator: " ") == expected)
  }

  @Test func ticksAreApartAndTellThemselvesApart() {
    var random = SeededRandom(seed: 3)
    for _ in 0..<2000 {
      let lower = pow(10, Double.random(in: -30...30, using: &random))
      let upper = lower * pow(10, pow(10, Double.random(in: -2...1.5, using: &random)))
      for scale in [Axis.Scale.linear, .logarithmic] {
        let axis = Axis(scale, lower...upper, from: 400, to: 40)
        let ticks = axis.ticks(spacing: 28)
        let places = ticks.map { axis.position($0.value) }
        #expect((2...13).contains(ticks.count), "\(ticks.count) for \(lower)...\(upper)")
        #expect(places.allSatisfy { $0 < 400.01 && $0 > 39.99 })
        #expect(zip(places, places.dropFirst()).allSatisfy { $0 - $1 > 27.99 }, "\(lower)...\(upper): \(places)")
        for minor in axis.minorTicks(spacing: 28) {
          #expect(minor >= lower && minor <= upper && !places.contains { abs($0 - axis.position(minor)) < 3.9 })
        }
        if scale == .logarithmic { #expect(Set(ticks.map(\.label)).count == ticks.count, "\(ticks)") }
      }
    }
  }

  @Test func valuesHaveFourDigits() {
    let expected = [
      (6.39614, "6.396"), (82.4149, "82.41"), (120.26, "120.3"), (1234.4, "1,234"), (123_456.7, "123,457"),
      (0.5, "0.5000"), (2e7, "2×10⁷"), (1e-9, "10⁻⁹"), (9999.9, "10,000"),
    ]
    for (value, text) in expected { #expect(Axis.number(value) == text) }
    #expect(Axis.short(3584) == "3,584" && Axis.short(6.5) == "6.5" && Axis.short(7_340_032) == "7,340,032")
  }
}
