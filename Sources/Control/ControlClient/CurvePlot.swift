import Foundation
import TaskMetrics

/// A metric over steps, drawn with characters.
///
/// Training is a line of dots, eight of which fit in one character (braille); validation, of which there is little, an
/// `o` for each value. A line is the mean of what falls into its column.
public struct CurvePlot: Sendable {
  public struct Point: Equatable, Sendable {
    public var step: Int
    /// More than 0 where the metric's scale is logarithmic.
    public var value: Double

    public init(step: Int, value: Double) {
      self.step = step
      self.value = value
    }
  }

  /// What the terminal can show.
  public enum Characters: Sendable { case braille, ascii }

  /// What a character of the plot belongs to.
  public enum Ink: Equatable, Sendable { case none, axis, training, validation }

  public var metric: Metric
  public var training: [Point] = []
  public var validation: [Point] = []

  public init(_ metric: Metric = [Metric].ofLanguageModels.headlines[0]) { self.metric = metric }

  /// Columns of the labels at the left, and the line beside them.
  private static let labelWidth = 8

  /// `height` rows for the curve and one below it for the steps, each of `width` characters with its ink; empty where
  /// there is nothing to draw or no room.
  public func rows(width: Int, height: Int, _ characters: Characters) -> [[(character: Character, ink: Ink)]] {
    let columns = width - Self.labelWidth
    let training = drawable(training)
    let validation = drawable(validation)
    guard columns >= 8, height >= 2, let lastStep = (training + validation).map(\.step).max(), lastStep >= 0 else {
      return []
    }
    let across = Across(lastStep: lastStep, dots: 2 * columns)
    let line = means(training, across)
    let scale = Scale(line.map(\.height) + validation.map(verticalPlace), dots: 4 * height)
    var cells = [[UInt8]](repeating: [UInt8](repeating: 0, count: columns), count: height)
    Self.draw(line.map { ($0.x, scale.y($0.height)) }) { x, y in cells[y / 4][x / 2] |= Self.dots[y % 4][x % 2] }
    var rows = cells.enumerated().map { row, cells in
      label(row, of: height, scale) + cells.map { Self.character($0, characters) }
    }
    for point in validation {
      rows[scale.y(verticalPlace(point)) / 4][Self.labelWidth + across.x(point.step) / 2] = ("o", .validation)
    }
    return rows + [Self.footer(lastStep, columns)]
  }

  private var isLogarithmic: Bool { metric.scale == .logarithmic }

  private func verticalPlace(_ point: Point) -> Double { isLogarithmic ? log(point.value) : point.value }

  private func drawable(_ points: [Point]) -> [Point] {
    points.filter { $0.step >= 0 && verticalPlace($0).isFinite }
  }

  /// Where a step is, in dots from the left: two to a character.
  private struct Across {
    let lastStep: Int
    let dots: Int

    func x(_ step: Int) -> Int { min(dots - 1, Int(Double(step) / (Double(lastStep) + 1) * Double(dots))) }
  }

  /// Where a height is, in dots from above: four to a character.
  private struct Scale {
    private let top: Double
    private let span: Double
    private let dots: Int

    /// As high as the values are apart, and not less than one percent: what is the same is drawn in the middle.
    init(_ heights: [Double], dots: Int) {
      let (least, most) = (heights.min() ?? 0, heights.max() ?? 0)
      span = max(0.01, most - least)
      top = (least + most + span) / 2
      self.dots = dots
    }

    func y(_ height: Double) -> Int {
      min(dots - 1, max(0, Int(((top - height) / span * Double(dots - 1)).rounded())))
    }

    /// The height in the middle of a row of characters.
    func height(row: Int) -> Double { top - (Double(row) * 4 + 1.5) / Double(dots - 1) * span }
  }

  /// The mean of the heights that fall into each column of dots, where there are any.
  private func means(_ points: [Point], _ across: Across) -> [(x: Int, height: Double)] {
    var sums = [(sum: Double, count: Int)](repeating: (0, 0), count: across.dots)
    for point in points {
      sums[across.x(point.step)].sum += verticalPlace(point)
      sums[across.x(point.step)].count += 1
    }
    return sums.enumerated().filter { $0.element.count > 0 }
      .map { ($0.offset, $0.element.sum / Double($0.element.count)) }
  }

  /// A straight line from each place to the next.
  private static func draw(_ line: [(x: Int, y: Int)], _ dot: (_ x: Int, _ y: Int) -> Void) {
    if let first = line.first { dot(first.x, first.y) }
    for (from, to) in zip(line, line.dropFirst()) {
      let length = max(to.x - from.x, abs(to.y - from.y))
      for index in 1...length {
        let part = Double(index) / Double(length)
        dot(
          from.x + Int((part * Double(to.x - from.x)).rounded()), from.y + Int((part * Double(to.y - from.y)).rounded())
        )
      }
    }
  }

  /// Dots of a braille character, U+2800, by row and column.
  private static let dots: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]

  private static func character(_ dots: UInt8, _ characters: Characters) -> (Character, Ink) {
    guard dots != 0, let scalar = Unicode.Scalar(0x2800 + UInt32(dots)) else { return (" ", .none) }
    return (characters == .braille ? Character(scalar) : "*", .training)
  }

  /// Every third row has its value, the first and the last among them where there is room.
  private func label(_ row: Int, of rows: Int, _ scale: Scale) -> [(Character, Ink)] {
    let isLabelled = row == rows - 1 || (row % 3 == 0 && row < rows - 2)
    let text = isLabelled ? Self.short(isLogarithmic ? exp(scale.height(row: row)) : scale.height(row: row)) : ""
    let padding = String(repeating: " ", count: max(0, Self.labelWidth - 2 - text.count))
    return (padding + text.prefix(Self.labelWidth - 2) + " |").map { ($0, .axis) }
  }

  private static func footer(_ lastStep: Int, _ columns: Int) -> [(Character, Ink)] {
    let last = "step \(lastStep)"
    let gap = max(1, columns - 1 - last.count)
    return (String(repeating: " ", count: labelWidth) + "0" + String(repeating: " ", count: gap) + last)
      .prefix(labelWidth + columns).map { ($0, .axis) }
  }

  /// In six characters: "6.396", "551.7", "11200", "2.5e9".
  private static func short(_ value: Double) -> String {
    switch value {
    case ..<1000: String(format: "%.4g", value)
    case ..<100_000: String(format: "%.0f", value)
    default: String(format: "%.1e", value).replacing("e+0", with: "e").replacing("e+", with: "e")
    }
  }
}
