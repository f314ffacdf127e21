/// A key of JSON that is known only when the program runs.
public struct MetricKey: CodingKey, Hashable {
  public let stringValue: String
  public var intValue: Int? { nil }

  public init(stringValue: String) { self.stringValue = stringValue }
  public init?(intValue: Int) { nil }

  /// `loss`, or with a prefix `validationLoss`.
  public init(_ name: String, prefix: String = "") {
    stringValue = prefix.isEmpty ? name : prefix + name.prefix(1).uppercased() + name.dropFirst()
  }

  /// The metric whose key this is with a prefix; nil where it is none.
  func name(after prefix: String) -> String? {
    let rest = stringValue.dropFirst(prefix.count)
    guard stringValue.hasPrefix(prefix), let first = rest.first else { return nil }
    if prefix.isEmpty { return stringValue }
    return first.isUppercase ? first.lowercased() + rest.dropFirst() : nil
  }
}

/// Metrics stand in JSON beside the other keys of their object: `"loss": 4.7`, and with a prefix `"validationLoss": 4.9`.
extension Encoder {
  public func encode(metrics values: [String: Double], prefix: String = "") throws {
    var container = container(keyedBy: MetricKey.self)
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      try container.encode(value, forKey: MetricKey(name, prefix: prefix))
    }
  }

  /// Columns of a table, in which what is not a number is null.
  public func encode(columns: [String: [Double?]]) throws {
    var container = container(keyedBy: MetricKey.self)
    for (name, values) in columns.sorted(by: { $0.key < $1.key }) {
      try container.encode(values, forKey: MetricKey(name))
    }
  }
}

extension Decoder {
  /// Those of some names; what is missing is left out.
  public func metrics(_ names: [String], prefix: String = "") throws -> [String: Double] {
    let container = try container(keyedBy: MetricKey.self)
    return try names.reduce(into: [:]) { values, name in
      values[name] = try container.decodeIfPresent(Double.self, forKey: MetricKey(name, prefix: prefix))
    }
  }

  /// Every key but some is a metric, by what stands before its name.
  public func metrics(besides keys: [any CodingKey], prefix: String = "") throws -> [String: Double] {
    let container = try container(keyedBy: MetricKey.self)
    let others = Set(keys.map(\.stringValue))
    return try container.allKeys.reduce(into: [:]) { values, key in
      guard !others.contains(key.stringValue), let name = key.name(after: prefix) else { return }
      values[name] = try container.decodeIfPresent(Double.self, forKey: key)
    }
  }

  /// Every key but some is a column of numbers.
  public func columns(besides keys: [any CodingKey]) throws -> [String: [Double?]] {
    let container = try container(keyedBy: MetricKey.self)
    let others = Set(keys.map(\.stringValue))
    return try container.allKeys.reduce(into: [:]) { columns, key in
      guard !others.contains(key.stringValue) else { return }
      columns[key.stringValue] = try container.decode([Double?].self, forKey: key)
    }
  }
}
