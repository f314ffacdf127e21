/// A number that tells how well a model does, as people and programs know it.
public struct Metric: Codable, Equatable, Sendable {
  /// Which values are better.
  public enum Direction: String, Codable, CaseIterable, Sendable { case lower, higher }
  /// How an axis of it is drawn.
  public enum Scale: String, Codable, CaseIterable, Sendable { case linear, logarithmic }

  /// One word: the key in JSON, the column of a curve.
  public let name: String
  /// Empty where there is none.
  public let unit: String
  /// Nil for a count, which is neither good nor bad.
  public let better: Direction?
  public let scale: Scale
  /// Whether people look at it first: it is drawn, and told in one line of progress.
  public let isHeadline: Bool

  public init(
    _ name: String, unit: String = "", better: Direction?, scale: Scale = .linear, isHeadline: Bool = false
  ) {
    self.name = name
    self.unit = unit
    self.better = better
    self.scale = scale
    self.isHeadline = isHeadline
  }

  /// Whether one value is better than another. No value that is not a number is.
  public func isBetter(_ value: Double, than other: Double) -> Bool {
    switch better {
    case .lower: value < other
    case .higher: value > other
    case nil: false
    }
  }

  /// For people, as in "validation loss": the name in words.
  public var title: String {
    name.reduce(into: "") { title, letter in
      title += letter.isUppercase ? " \(letter.lowercased())" : String(letter)
    }
  }
}

extension [Metric] {
  /// Those that people look at first.
  public var headlines: [Metric] { filter(\.isHeadline) }

  public subscript(name: String) -> Metric? { first { $0.name == name } }

  /// The values of these metrics, each after its name and with its unit, for a line of text.
  public func line(_ values: [String: Double], _ number: (Double) -> String) -> String {
    compactMap { metric in
      values[metric.name].map { "\(metric.title) \(number($0))\(metric.unit.isEmpty ? "" : " \(metric.unit)")" }
    }.joined(separator: ", ")
  }

  /// Of a language model. Files and messages that do not name their metrics have these.
  public static let ofLanguageModels = [
    Metric("loss", unit: "nats per token", better: .lower),
    Metric("perplexity", better: .lower, scale: .logarithmic, isHeadline: true),
  ]
}
