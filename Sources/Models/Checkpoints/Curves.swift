import Files
import HDF5Files

/// One point of the training curve: the mean over some steps.
public struct TrainingPoint: Codable, Equatable, Sendable {
  /// The last of the steps.
  public var step: Int
  public var epoch: Int
  /// Tokens learned from since the run began.
  public var tokens: Int
  /// Nats per token.
  public var loss: Double
  public var perplexity: Double
  public var learningRate: Double
  public var gradientNorm: Double
  /// Over all ranks; the one column that depends on time.
  public var tokensPerSecond: Double

  public init(
    step: Int, epoch: Int, tokens: Int, loss: Double, perplexity: Double, learningRate: Double,
    gradientNorm: Double, tokensPerSecond: Double
  ) {
    self.step = step
    self.epoch = epoch
    self.tokens = tokens
    self.loss = loss
    self.perplexity = perplexity
    self.learningRate = learningRate
    self.gradientNorm = gradientNorm
    self.tokensPerSecond = tokensPerSecond
  }
}

/// The validation text's loss after a step.
public struct ValidationPoint: Codable, Equatable, Sendable {
  public var step: Int
  /// Epochs completed.
  public var epoch: Int
  /// Nats per token.
  public var loss: Double
  public var perplexity: Double

  public init(step: Int, epoch: Int, loss: Double, perplexity: Double) {
    self.step = step
    self.epoch = epoch
    self.loss = loss
    self.perplexity = perplexity
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

/// How a run has gone: one dataset a column, one row a point.
public struct Curves: Equatable, Sendable {
  public var training: [TrainingPoint] = []
  public var validation: [ValidationPoint] = []
  public var partial = PartialPoint()
  /// Sums over the steps of the epoch under way; nil in files of programs that did not keep them.
  public var epoch: PartialPoint?

  static let kind = "curves"
  static let formatVersion = 1

  public init() {}

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

  func write(to writer: HDF5Writer, under group: String) throws {
    func column<Row>(_ rows: [Row], _ name: String, _ path: KeyPath<Row, Int>) throws {
      try writer.write(rows.map { Int64($0[keyPath: path]) }, at: "\(group)/\(name)")
    }
    func column<Row>(_ rows: [Row], _ name: String, _ path: KeyPath<Row, Double>) throws {
      try writer.write(rows.map { $0[keyPath: path] }, at: "\(group)/\(name)")
    }
    try column(training, "training/step", \.step)
    try column(training, "training/epoch", \.epoch)
    try column(training, "training/tokens", \.tokens)
    try column(training, "training/loss", \.loss)
    try column(training, "training/perplexity", \.perplexity)
    try column(training, "training/learningRate", \.learningRate)
    try column(training, "training/gradientNorm", \.gradientNorm)
    try column(training, "training/tokensPerSecond", \.tokensPerSecond)
    try writer.write(partial.numbers, at: "\(group)/training/partial")
    if let epoch { try writer.write(epoch.numbers, at: "\(group)/training/epochPartial") }
    try column(validation, "validation/step", \.step)
    try column(validation, "validation/epoch", \.epoch)
    try column(validation, "validation/loss", \.loss)
    try column(validation, "validation/perplexity", \.perplexity)
  }

  init(reader: HDF5Reader, under group: String) throws {
    /// A column of `count` rows; the first of a table says how many there are.
    func column<Element: HDF5Element>(_ name: String, _ type: Element.Type, count: Int? = nil) throws -> [Element] {
      let path = "\(group)/\(name)"
      let values = try reader.array(of: type, at: path)
      guard let count, values.count != count else { return values }
      throw CheckpointError.malformed(path: path, problem: "expected \(counted(count, "row")), found \(values.count)")
    }
    let steps = try column("training/step", Int64.self)
    let rows = steps.count
    let epochs = try column("training/epoch", Int64.self, count: rows)
    let tokens = try column("training/tokens", Int64.self, count: rows)
    let losses = try column("training/loss", Double.self, count: rows)
    let perplexities = try column("training/perplexity", Double.self, count: rows)
    let rates = try column("training/learningRate", Double.self, count: rows)
    let norms = try column("training/gradientNorm", Double.self, count: rows)
    let speeds = try column("training/tokensPerSecond", Double.self, count: rows)
    training = steps.indices.map {
      TrainingPoint(
        step: Int(steps[$0]), epoch: Int(epochs[$0]), tokens: Int(tokens[$0]), loss: losses[$0],
        perplexity: perplexities[$0], learningRate: rates[$0], gradientNorm: norms[$0],
        tokensPerSecond: speeds[$0])
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
    let validationLosses = try column("validation/loss", Double.self, count: count)
    let validationPerplexities = try column("validation/perplexity", Double.self, count: count)
    validation = validationSteps.indices.map {
      ValidationPoint(
        step: Int(validationSteps[$0]), epoch: Int(validationEpochs[$0]), loss: validationLosses[$0],
        perplexity: validationPerplexities[$0])
    }
  }
}
