/// How often something happens, written as `500 steps`, `2 epochs` or `10 minutes`.
public enum Interval: Equatable, Sendable {
  case steps(Int)
  case epochs(Int)
  case seconds(Double)

  var isPositive: Bool {
    switch self {
    case .steps(let count), .epochs(let count): count > 0
    case .seconds(let seconds): seconds > 0
    }
  }

  /// The longest unit that says it whole.
  private static let times = [("hour", 3600.0), ("minute", 60), ("second", 1)]

  /// nil for what is not an interval.
  public init?(_ text: String) {
    let words = text.split(separator: " ")
    guard words.count == 2 else { return nil }
    let unit = words[1].hasSuffix("s") ? String(words[1].dropLast()) : String(words[1])
    if let count = Int(words[0]), unit == "step" || unit == "epoch" {
      self = unit == "step" ? .steps(count) : .epochs(count)
    } else if let count = Double(words[0]), count.isFinite, let time = Self.times.first(where: { $0.0 == unit }) {
      self = .seconds(count * time.1)
    } else {
      return nil
    }
  }
}

extension Interval: CustomStringConvertible {
  public var description: String {
    switch self {
    case .steps(let count): return Self.text("\(count)", "step")
    case .epochs(let count): return Self.text("\(count)", "epoch")
    case .seconds(let seconds):
      let (unit, length) =
        Self.times.first { seconds >= $0.1 && seconds.truncatingRemainder(dividingBy: $0.1) == 0 } ?? ("second", 1)
      let count = seconds / length
      return Self.text(Int(exactly: count).map { "\($0)" } ?? "\(count)", unit)
    }
  }

  private static func text(_ count: String, _ unit: String) -> String { "\(count) \(unit)\(count == "1" ? "" : "s")" }
}

extension Interval: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let interval = Interval(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "a list of intervals, as in [500 steps, 2 epochs, 10 minutes]")
    }
    self = interval
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
