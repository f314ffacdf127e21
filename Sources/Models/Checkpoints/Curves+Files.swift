import Files
import HDF5Files
import TaskMetrics

extension Curves {
  func write(to writer: HDF5Writer, under group: String) throws {
    func column<Row>(_ rows: [Row], _ name: String, _ path: KeyPath<Row, Int>) throws {
      try writer.write(rows.map { Int64($0[keyPath: path]) }, at: "\(group)/\(name)")
    }
    func column<Row>(_ rows: [Row], _ name: String, _ value: (Row) -> Double) throws {
      try writer.write(rows.map(value), at: "\(group)/\(name)")
    }
    func columns<Row>(_ rows: [Row], _ table: String, _ metrics: [Metric], _ value: (Row, String) -> Double) throws {
      for metric in metrics {
        try column(rows, "\(table)/\(metric.name)") { value($0, metric.name) }
        try writer.describe(metric, at: "\(group)/\(table)/\(metric.name)")
      }
      try writer.attribute("metrics", metrics.map(\.name).joined(separator: " "), at: "\(group)/\(table)")
    }
    try column(training, "training/step", \.step)
    try column(training, "training/epoch", \.epoch)
    try column(training, "training/tokens", \.tokens)
    try columns(training, "training", trainingMetrics) { $0[$1] }
    try column(training, "training/learningRate") { $0.learningRate }
    try column(training, "training/gradientNorm") { $0.gradientNorm }
    try column(training, "training/tokensPerSecond") { $0.tokensPerSecond }
    try writer.write(partial.numbers, at: "\(group)/training/partial")
    if let epoch { try writer.write(epoch.numbers, at: "\(group)/training/epochPartial") }
    try column(validation, "validation/step", \.step)
    try column(validation, "validation/epoch", \.epoch)
    try columns(validation, "validation", validationMetrics) { $0[$1] }
  }

  init(reader: HDF5Reader, under group: String) throws {
    /// A column of `count` rows; the first of a table says how many there are.
    func column<Element: HDF5Element>(_ name: String, _ type: Element.Type, count: Int? = nil) throws -> [Element] {
      let path = "\(group)/\(name)"
      let values = try reader.array(of: type, at: path)
      guard let count, values.count != count else { return values }
      throw CheckpointError.malformed(path: path, problem: "expected \(counted(count, "row")), found \(values.count)")
    }
    func metrics(_ table: String) throws -> [Metric] {
      // Files of before have those of language models.
      let place = "\(group)/\(table)"
      guard try reader.contains(attribute: "metrics", at: place) else { return .ofLanguageModels }
      let names: String = try reader.attribute("metrics", at: place)
      return try names.split(separator: " ").map { try reader.metric(String($0), at: "\(place)/\($0)") }
    }
    /// The metrics of each row.
    func values(_ table: String, _ metrics: [Metric], count: Int) throws -> [[String: Double]] {
      let columns = try metrics.map { try column("\(table)/\($0.name)", Double.self, count: count) }
      return (0..<count).map { row in
        Dictionary(zip(metrics, columns).map { ($0.name, $1[row]) }) { first, _ in first }
      }
    }
    let steps = try column("training/step", Int64.self)
    let rows = steps.count
    let epochs = try column("training/epoch", Int64.self, count: rows)
    let tokens = try column("training/tokens", Int64.self, count: rows)
    trainingMetrics = try metrics("training")
    let trained = try values("training", trainingMetrics, count: rows)
    let rates = try column("training/learningRate", Double.self, count: rows)
    let norms = try column("training/gradientNorm", Double.self, count: rows)
    let speeds = try column("training/tokensPerSecond", Double.self, count: rows)
    training = steps.indices.map {
      TrainingPoint(
        step: Int(steps[$0]), epoch: Int(epochs[$0]), tokens: Int(tokens[$0]), metrics: trained[$0],
        learningRate: rates[$0], gradientNorm: norms[$0], tokensPerSecond: speeds[$0])
    }
    func sums(_ name: String) throws -> PartialPoint {
      let place = "\(group)/training/\(name)"
      if let sums = PartialPoint(numbers: try reader.array(of: Double.self, at: place)) { return sums }
      throw CheckpointError.malformed(path: place, problem: "expected steps, loss, norm, tokens and seconds")
    }
    partial = try sums("partial")
    if try reader.contains("\(group)/training/epochPartial") { epoch = try sums("epochPartial") }
    let validationSteps = try column("validation/step", Int64.self)
    let count = validationSteps.count
    let validationEpochs = try column("validation/epoch", Int64.self, count: count)
    validationMetrics = try metrics("validation")
    let found = try values("validation", validationMetrics, count: count)
    validation = validationSteps.indices.map {
      ValidationPoint(step: Int(validationSteps[$0]), epoch: Int(validationEpochs[$0]), metrics: found[$0])
    }
  }
}

/// What a column is, as attributes of its dataset.
extension HDF5Writer {
  fileprivate func describe(_ metric: Metric, at path: String) throws {
    try attribute("unit", metric.unit, at: path)
    try attribute("better", metric.better?.rawValue ?? "neither", at: path)
    try attribute("scale", metric.scale.rawValue, at: path)
    try attribute("headline", metric.isHeadline ? 1 : 0, at: path)
  }
}

extension HDF5Reader {
  fileprivate func metric(_ name: String, at path: String) throws -> Metric {
    let better: String = try attribute("better", at: path)
    let scale: String = try attribute("scale", at: path)
    guard let scale = Metric.Scale(rawValue: scale) else {
      throw CheckpointError.malformed(path: path, problem: "expected a scale, linear or logarithmic, found \(scale)")
    }
    return Metric(
      name, unit: try attribute("unit", at: path), better: Metric.Direction(rawValue: better), scale: scale,
      isHeadline: try attribute("headline", at: path) != 0)
  }
}
