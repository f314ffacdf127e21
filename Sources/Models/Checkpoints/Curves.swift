import Files
import HDF5Files
import TaskMetrics

/// One point of the training curve: the mean over some steps.
public struct TrainingPoint: Codable, Equatable, Sendable {
  /// The last of the steps.
  public var step: Int
  public var epoch: Int
  /// Tokens learned from since the run began.
  public var tokens: Int
  /// By their names.
  public var metrics: [String: Double]
  public var learningRate: Double
  public var gradientNorm: Double
  /// Over all ranks; the one column that depends on time.
  public var tokensPerSecond: Double

  public init(
    step: Int, epoch: Int, tokens: Int, metrics: [String: Double], learningRate: Double, gradientNorm: Double,
    tokensPerSecond: Double
  ) {
    self.step = step
    self.epoch = epoch
    self.tokens = tokens
    self.metrics = metrics
    self.learningRate = learningRate
    self.gradientNorm = gradientNorm
    self.tokensPerSecond = tokensPerSecond
  }

  /// Not a number where there is none of that name.
  public subscript(metric: String) -> Double { metrics[metric] ?? .nan }

  private enum CodingKeys: CodingKey, CaseIterable {
    case step, epoch, tokens, learningRate, gradientNorm, tokensPerSecond
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(step, forKey: .step)
    try container.encode(epoch, forKey: .epoch)
    try container.encode(tokens, forKey: .tokens)
    try encoder.encode(metrics: metrics)
    try container.encode(learningRate, forKey: .learningRate)
    try container.encode(gradientNorm, forKey: .gradientNorm)
    try container.encode(tokensPerSecond, forKey: .tokensPerSecond)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      step: container.decode(Int.self, forKey: .step), epoch: container.decode(Int.self, forKey: .epoch),
      tokens: container.decode(Int.self, forKey: .tokens),
      metrics: decoder.metrics(besides: CodingKeys.allCases),
      learningRate: container.decode(Double.self, forKey: .learningRate),
      gradientNorm: container.decode(Double.self, forKey: .gradientNorm),
      tokensPerSecond: container.decode(Double.self, forKey: .tokensPerSecond))
  }
}

/// What an evaluation of the validation text found.
public struct ValidationPoint: Codable, Equatable, Sendable {
  public var step: Int
  /// Epochs completed.
  public var epoch: Int
  /// By their names.
  public var metrics: [String: Double]

  public init(step: Int, epoch: Int, metrics: [String: Double]) {
    self.step = step
    self.epoch = epoch
    self.metrics = metrics
  }

  /// Not a number where there is none of that name.
  public subscript(metric: String) -> Double { metrics[metric] ?? .nan }

  private enum CodingKeys: CodingKey, CaseIterable { case step, epoch }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(step, forKey: .step)
    try container.encode(epoch, forKey: .epoch)
    try encoder.encode(metrics: metrics)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      step: container.decode(Int.self, forKey: .step), epoch: container.decode(Int.self, forKey: .epoch),
      metrics: decoder.metrics(besides: CodingKeys.allCases))
  }
}

/// Sums over the steps of a point that is not complete: a run that stops within it goes on with it.
public struct PartialPoint: Equatable, Sendable {
  public var steps = 0
  public var loss = 0.0
  public var gradientNorm = 0.0
  public var tokens = 0
  public var seconds = 0.0

  public init() {}

  var numbers: [Double] { [Double(steps), loss, gradientNorm, Double(tokens), seconds] }

  init?(numbers: [Double]) {
    guard numbers.count == 5, let steps = Int(exactly: numbers[0]), let tokens = Int(exactly: numbers[3]) else {
      return nil
    }
    self.steps = steps
    loss = numbers[1]
    gradientNorm = numbers[2]
    self.tokens = tokens
    seconds = numbers[4]
  }
}

/// How a run has gone: one dataset a column, one row a point. The columns of metrics are named as these are.
public struct Curves: Equatable, Sendable {
  public var trainingMetrics = [Metric].ofLanguageModels
  /// The first decides which evaluation is the best.
  public var validationMetrics = [Metric].ofLanguageModels
  public var training: [TrainingPoint] = []
  public var validation: [ValidationPoint] = []
  public var partial = PartialPoint()
  /// Sums over the steps of the epoch under way; nil in files of programs that did not keep them.
  public var epoch: PartialPoint?

  static let kind = "curves"
  static let formatVersion = 1

  public init() {}

  /// Without rows, of the metrics that others have.
  public init(like other: Curves) {
    trainingMetrics = other.trainingMetrics
    validationMetrics = other.validationMetrics
  }

  /// Those that people look at first, of either table.
  public var headlines: [Metric] {
    let all = validationMetrics.headlines
    return all + trainingMetrics.headlines.filter { metric in !all.contains { $0.name == metric.name } }
  }

  /// The first of the best evaluations.
  public var best: ValidationPoint? {
    guard let deciding = validationMetrics.first else { return nil }
    return validation.filter { $0[deciding.name].isFinite }.reduce(nil) { best, point in
      guard let best else { return point }
      return deciding.isBetter(point[deciding.name], than: best[deciding.name]) ? point : best
    }
  }

  /// Replaces the file whole. Throws `HDF5Error` and `FileError`.
  public func save(to path: String) throws {
    let writer = try HDF5Writer(kind: Self.kind, formatVersion: Self.formatVersion)
    try write(to: writer, under: "")
    try writer.save(to: path)
  }

  /// Reads a file that `save` wrote. Throws `HDF5Error` and `FileError`.
  public init(path: String) throws {
    try self.init(
      reader: HDF5Reader(path: path, kind: Self.kind, newestVersion: Self.formatVersion), under: "")
  }
}
