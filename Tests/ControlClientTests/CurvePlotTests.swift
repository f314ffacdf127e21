import ControlClient
import Foundation
import Testing

@Suite struct CurvePlotTests {
  private func plot(_ training: [(Int, Double)], _ validation: [(Int, Double)] = []) -> CurvePlot {
    var plot = CurvePlot()
    plot.training = training.map { .init(step: $0.0, value: $0.1) }
    plot.validation = validation.map { .init(step: $0.0, value: $0.1) }
    return plot
  }

  private func lines(_ plot: CurvePlot, width: Int, height: Int, _ characters: CurvePlot.Characters = .braille)
    -> [String]
  {
    plot.rows(width: width, height: height, characters).map { String($0.map(\.character)) }
  }

  /// Where there are dots: column and row of each, from the upper left.
  private func dots(_ lines: [String]) -> Set<[Int]> {
    var dots: Set<[Int]> = []
    for (row, line) in lines.enumerated() {
      for (column, character) in line.enumerated() {
        guard let code = character.unicodeScalars.first?.value, (0x2801...0x28FF).contains(code) else { continue }
        // Bits 0 to 2 go down the left, 3 to 5 down the right, 6 and 7 are below them.
        let places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
        for (bit, (x, y)) in places.enumerated() where (code - 0x2800) >> UInt32(bit) & 1 == 1 {
          dots.insert([(column - 8) * 2 + x, row * 4 + y])
        }
      }
    }
    return dots
  }

  @Test func anExponentialFallIsAStraightLine() {
    // 20 characters are 40 dots across, 5 are 20 down; the perplexity falls by the same factor from each to the next.
    let lines = lines(plot((0..<40).map { ($0, exp(10 - Double($0) / 4)) }), width: 28, height: 5)
    #expect(lines.count == 6)
    let dots = dots(lines)
    #expect(dots.contains([0, 0]) && dots.contains([39, 19]))
    for dot in dots { #expect(abs(Double(dot[1]) - Double(dot[0]) * 19 / 39) <= 1, "dot at \(dot)") }
    #expect(Set(dots.map { $0[0] }) == Set(0..<40))
    // The labels are the values in the middle of their rows.
    let labels = lines.dropLast().compactMap { Double($0.prefix(6).trimmingCharacters(in: .whitespaces)) }
    let expected = [0, 4].map { exp(10 - (Double($0) * 4 + 1.5) / 19 * 9.75) }
    #expect(labels.count == 2)
    for (label, value) in zip(labels, expected) { #expect(abs(label / value - 1) < 0.05, "\(label) for \(value)") }
    #expect(lines[5].hasPrefix("        0 ") && lines[5].hasSuffix(" step 39") && lines[5].count == 28)
  }

  @Test func theMeanOfAColumnIsDrawn() {
    // Every other value is e times the others': a line half-way between the two, which validation has as well.
    let values = (0..<4000).map { ($0, $0.isMultiple(of: 2) ? 1.0 : exp(1)) }
    let dots = dots(lines(plot(values, [(0, 1), (3999, exp(1))]), width: 28, height: 5))
    #expect(dots.allSatisfy { (9...10).contains($0[1]) } && !dots.isEmpty)
  }

  @Test(arguments: [(11_000.0, "11050"), (123_456.0, "1.2e5"), (4.7e9, "4.7e9"), (5.2e12, "5.2e12"), (551.72, "554.2")])
  func everyMagnitudeIsLabelled(perplexity: Double, label: String) {
    let all = lines(plot([(1, perplexity), (2, perplexity)]), width: 40, height: 9).joined(separator: "\n")
    #expect(all.contains("\(label) |"), "\(all)")
  }

  @Test func aGapIsBridged() {
    let dots = dots(lines(plot([(0, 100), (100, 1)]), width: 28, height: 5))
    #expect(Set(dots.map { $0[0] }) == Set(0..<40))
    #expect(dots.contains([0, 0]) && dots.contains([39, 19]))
  }

  @Test func validationStandsOverTraining() {
    let rows = plot([(0, 100), (100, 10)], [(50, 100), (100, 10)]).rows(width: 28, height: 4, .braille)
    let marks = rows.enumerated().flatMap { row, cells in
      cells.enumerated().filter { $0.element.ink == .validation }.map { [$0.offset, row] }
    }
    #expect(marks == [[8 + 9, 0], [8 + 19, 3]])
    #expect(rows.joined().contains { $0.ink == .training })
  }

  @Test func whatCannotBeDrawnIsLeftOut() {
    #expect(lines(plot([]), width: 80, height: 10) == [])
    #expect(lines(plot([(1, .nan), (2, .infinity), (3, 0), (4, -1)]), width: 80, height: 10) == [])
    #expect(lines(plot([(0, 5)]), width: 15, height: 10) == [])
    #expect(lines(plot([(0, 5)]), width: 80, height: 1) == [])
    let whole = lines(plot([(0, 100), (100, 1)]), width: 40, height: 8)
    #expect(lines(plot([(0, 100), (50, .nan), (100, 1), (120, .infinity)]), width: 40, height: 8) == whole)
  }

  @Test func oneValueAndEqualValuesAreDrawn() {
    for points in [[(0, 5.0)], [(7, 5.0)], (0..<100).map { ($0, 5.0) }] {
      let lines = lines(plot(points), width: 28, height: 4)
      #expect(lines.count == 5 && !dots(lines).isEmpty)
    }
  }

  @Test func everySizeIsKept() {
    let plot = plot((0..<1000).map { ($0, 5 + 300 / Double($0 + 1)) }, [(300, 9), (999, 6)])
    for width in 0...90 {
      for height in 0...20 {
        for characters in [CurvePlot.Characters.braille, .ascii] {
          let lines = lines(plot, width: width, height: height, characters)
          #expect(lines.isEmpty || lines.count == height + 1)
          #expect(lines.allSatisfy { $0.count == width })
          if characters == .ascii { #expect(lines.allSatisfy { $0.utf8.count == $0.count }) }
        }
      }
    }
  }
}
