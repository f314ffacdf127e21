import Foundation

/// One axis of a chart: which values it has room for, where each of them is drawn, and which are named.
struct Axis: Equatable {
  enum Scale { case linear, logarithmic }

  struct Tick: Equatable {
    var value: Double
    var label: String
  }

  let scale: Scale
  /// The values at the two ends; `lower` is less than `upper`, and on a logarithmic axis more than 0.
  let lower: Double
  let upper: Double
  /// Pixels of the two ends.
  let start: Double
  let end: Double

  init(_ scale: Scale, _ range: ClosedRange<Double>, from start: Double, to end: Double) {
    precondition(range.lowerBound < range.upperBound && (scale == .linear || range.lowerBound > 0))
    self.scale = scale
    lower = range.lowerBound
    upper = range.upperBound
    self.start = start
    self.end = end
  }

  /// Pixels; values outside are drawn beyond the ends.
  func position(_ value: Double) -> Double {
    let part =
      switch scale {
      case .linear: (value - lower) / (upper - lower)
      case .logarithmic: (log10(value) - log10(lower)) / (log10(upper) - log10(lower))
      }
    return start + part * (end - start)
  }

  // MARK: - Ticks

  /// Named values, in order, at least `spacing` pixels apart; the names are in multiples of `unit`. `isWhole`: between
  /// whole numbers there is nothing.
  func ticks(spacing: Double, isWhole: Bool = false, unit: Double = 1) -> [Tick] {
    let (values, step) = isLinearWithin ? linearTicks(spacing, isWhole) : (logarithmicTicks(spacing), nil)
    return values.map { Tick(value: $0, label: Self.label($0 / unit, step: step.map { $0 / unit })) }
  }

  /// Values between those of `ticks(spacing:)`, for fainter lines.
  func minorTicks(spacing: Double) -> [Double] {
    let major = ticks(spacing: spacing).map(\.value)
    let values: [Double]
    if isLinearWithin, let step = linearTicks(spacing, false).step {
      // Quarters of 2, fifths of 1 and 5.
      let digit = step / pow(10, floor(log10(step) + 1e-9))
      values = multiples(of: step / (Int(digit.rounded()) == 2 ? 4 : 5))
    } else {
      values = exponents.flatMap { exponent in
        (pixelsPerDecade >= 40 ? Array(1...9) : [1]).map { Double($0) * pow(10, Double(exponent)) }
      }
    }
    let room = 4.0
    return values.filter { value in
      value >= lower && value <= upper && !major.contains { abs(position($0) - position(value)) < room }
    }
  }

  /// Whether ticks go in equal steps: also on a logarithmic axis, where it has less than half a decade.
  private var isLinearWithin: Bool { scale == .linear || upper / lower < 3 }

  private var length: Double { abs(end - start) }

  private var pixelsPerDecade: Double { length / (log10(upper) - log10(lower)) }

  private var exponents: ClosedRange<Int> { Int(floor(log10(lower)))...Int(ceil(log10(upper))) }

  private func linearTicks(_ spacing: Double, _ isWhole: Bool) -> (values: [Double], step: Double?) {
    // On a logarithmic axis the steps at the upper end are the narrowest.
    let perPixel =
      scale == .linear ? (upper - lower) / length : upper * (log(upper) - log(lower)) / length
    let step = max(Self.nice(atLeast: perPixel * spacing), isWhole ? 1 : 0)
    return (multiples(of: step), step)
  }

  private func multiples(of step: Double) -> [Double] {
    let first = ceil(lower / step - 1e-9)
    let last = floor(upper / step + 1e-9)
    return first <= last ? stride(from: first, through: last, by: 1).map { $0 * step + 0 } : []  // not -0
  }

  /// What is named of each decade: the last of these that there is room for.
  private static let mantissas: [[Double]] = [
    [1], [1, 3], [1, 2, 5], [1, 2, 3, 5, 7], [1, 1.5, 2, 3, 4, 5, 6, 8], [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9],
  ]

  /// Decades, or some of them, and values between where there is room.
  private func logarithmicTicks(_ spacing: Double) -> [Double] {
    let step = Int(max(1, Self.nice(atLeast: spacing / pixelsPerDecade)))
    let fitting = Self.mantissas.last { mantissas in
      zip(mantissas, mantissas.dropFirst() + [10]).allSatisfy { log10($1 / $0) * pixelsPerDecade >= spacing }
    }
    return exponents.filter { $0.isMultiple(of: step) }.flatMap { exponent in
      (fitting ?? [1]).map { $0 * pow(10, Double(exponent)) }
    }.filter { $0 >= lower && $0 <= upper }
  }

  /// The least of 1, 2 and 5 times a power of ten that is not less.
  static func nice(atLeast value: Double) -> Double {
    let power = pow(10, floor(log10(value)))
    return ([1, 2, 5].first { $0 * power >= value * (1 - 1e-9) } ?? 10) * power
  }

  // MARK: - Numbers

  /// A tick's value with the decimals that its distance to the next takes; nil: with those it takes itself.
  private static func label(_ value: Double, step: Double?) -> String {
    let stepExponent = step.map { Int(floor(log10($0) + 1e-9)) }
    guard isUnusual(value) else {
      return grouped(stepExponent.map { String(format: "%.\(max(0, -$0))f", value) } ?? String(format: "%.7g", value))
    }
    return scientific(value, digits: stepExponent.map { 1 + max(0, exponent(value) - $0) } ?? 2)
  }

  /// Four significant digits, as in "6.396" and "1,234".
  static func number(_ value: Double) -> String {
    if isUnusual(value) { return scientific(value, digits: 4) }
    return grouped(String(format: "%.\(value == 0 ? 0 : max(0, 3 - exponent(value)))f", value))
  }

  /// Up to seven significant digits, without zeros at the end: "3,584", "6.5".
  static func short(_ value: Double) -> String {
    grouped(String(format: abs(value) >= 1e6 ? "%.0f" : "%.7g", value))
  }

  /// Whether it would take too many digits.
  private static func isUnusual(_ value: Double) -> Bool { abs(value) >= 1e7 || (value != 0 && abs(value) < 1e-4) }

  private static func exponent(_ value: Double) -> Int { Int(floor(log10(abs(value)) + 1e-9)) }

  /// "2×10⁷", with at most so many digits before the sign.
  private static func scientific(_ value: Double, digits: Int) -> String {
    let exponent = exponent(value)
    let mantissa = String(format: "%.\(digits)g", value / pow(10, Double(exponent)))
    let superscripts: [Character: Character] = [
      "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹",
    ]
    let power = "10" + String("\(exponent)".map { superscripts[$0] ?? $0 })
    return mantissa == "1" ? power : "\(mantissa)×\(power)"
  }

  /// With a comma after every three digits before the point.
  private static func grouped(_ number: String) -> String {
    let whole = number.prefix { $0 != "." }
    let digits = whole.filter(\.isNumber).count
    var result = ""
    var left = digits
    for character in whole {
      result.append(character)
      guard character.isNumber else { continue }
      left -= 1
      if left > 0 && left.isMultiple(of: 3) { result.append(",") }
    }
    return result + number[whole.endIndex...]
  }
}
