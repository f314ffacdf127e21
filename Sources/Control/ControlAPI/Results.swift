import TaskMetrics

/// How a run has gone, a column an array: what `GET /v1/curves` answers. Columns of a table are equally long; those of metrics
/// stand beside the others, under their names.
public struct CurveTables: Codable, Equatable, Sendable {
  public struct Training: Codable, Equatable, Sendable {
    public var step: [Int] = []
    public var epoch: [Int] = []
    public var metrics: [String: [Double?]] = [:]
    public var learningRate: [Double?] = []
    public var gradientNorm: [Double?] = []
    public var tokensPerSecond: [Double?] = []

    public init() {}

    private enum CodingKeys: CodingKey, CaseIterable { case step, epoch, learningRate, gradientNorm, tokensPerSecond }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(step, forKey: .step)
      try container.encode(epoch, forKey: .epoch)
      try encoder.encode(columns: metrics)
      try container.encode(learningRate, forKey: .learningRate)
      try container.encode(gradientNorm, forKey: .gradientNorm)
      try container.encode(tokensPerSecond, forKey: .tokensPerSecond)
    }

    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      step = try container.decode([Int].self, forKey: .step)
      epoch = try container.decode([Int].self, forKey: .epoch)
      metrics = try decoder.columns(besides: CodingKeys.allCases)
      learningRate = try container.decode([Double?].self, forKey: .learningRate)
      gradientNorm = try container.decode([Double?].self, forKey: .gradientNorm)
      tokensPerSecond = try container.decode([Double?].self, forKey: .tokensPerSecond)
    }
  }

  public struct Validation: Codable, Equatable, Sendable {
    public var step: [Int] = []
    public var epoch: [Int] = []
    public var metrics: [String: [Double?]] = [:]

    public init() {}

    private enum CodingKeys: CodingKey, CaseIterable { case step, epoch }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(step, forKey: .step)
      try container.encode(epoch, forKey: .epoch)
      try encoder.encode(columns: metrics)
    }

    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      step = try container.decode([Int].self, forKey: .step)
      epoch = try container.decode([Int].self, forKey: .epoch)
      metrics = try decoder.columns(besides: CodingKeys.allCases)
    }
  }

  public var run: String
  public var training = Training()
  public var validation = Validation()

  public init(run: String) { self.run = run }
}

/// Text that the model wrote, on schedule or when asked.
public struct SampleText: Codable, Equatable, Sendable {
  /// Steps the model had learned for.
  public var step: Int
  public var prompt: String
  public var temperature: Double
  public var seed: UInt64
  /// What follows the prompt.
  public var text: String

  public init(step: Int, prompt: String, temperature: Double, seed: UInt64, text: String) {
    self.step = step
    self.prompt = prompt
    self.temperature = temperature
    self.seed = seed
    self.text = text
  }
}

/// `GET /v1/samples`: the newest last.
public struct SampleList: Codable, Equatable, Sendable {
  public var samples: [SampleText]
  public init(samples: [SampleText]) { self.samples = samples }
}

/// `GET /v1/configuration`: as the run has it, every key given.
public struct RunConfigurationText: Codable, Equatable, Sendable {
  public var run: String
  public var yaml: String

  public init(run: String, yaml: String) {
    self.run = run
    self.yaml = yaml
  }
}

/// What an evaluation found.
public struct EvaluationResult: Codable, Equatable, Sendable {
  public var step: Int
  public var part: EvaluationRequest.Part
  /// What was measured, in the order in which it is shown.
  public var metrics: [Metric]
  /// By their names; in JSON beside the other keys.
  public var values: [String: Double]
  /// How long it took, and for how much of that training stood still.
  public var seconds: Double
  public var pausedSeconds: Double

  public init(
    step: Int, part: EvaluationRequest.Part, metrics: [Metric], values: [String: Double], seconds: Double,
    pausedSeconds: Double
  ) {
    self.step = step
    self.part = part
    self.metrics = metrics
    self.values = values
    self.seconds = seconds
    self.pausedSeconds = pausedSeconds
  }

  private enum CodingKeys: CodingKey, CaseIterable { case step, part, metrics, seconds, pausedSeconds }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(step, forKey: .step)
    try container.encode(part, forKey: .part)
    try container.encode(metrics, forKey: .metrics)
    try encoder.encode(metrics: values)
    try container.encode(seconds, forKey: .seconds)
    try container.encode(pausedSeconds, forKey: .pausedSeconds)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      step: container.decode(Int.self, forKey: .step),
      part: container.decode(EvaluationRequest.Part.self, forKey: .part),
      // Daemons of before have those of language models.
      metrics: container.decodeIfPresent([Metric].self, forKey: .metrics) ?? .ofLanguageModels,
      values: decoder.metrics(besides: CodingKeys.allCases), seconds: container.decode(Double.self, forKey: .seconds),
      pausedSeconds: container.decode(Double.self, forKey: .pausedSeconds))
  }
}

/// A checkpoint that was asked for and is safe on disk.
public struct CheckpointResult: Codable, Equatable, Sendable {
  public var step: Int
  public var path: String

  public init(step: Int, path: String) {
    self.step = step
    self.path = path
  }
}

/// What is left to say when a generation has ended.
public struct GenerationEnd: Codable, Equatable, Sendable {
  public var step: Int
  public var seed: UInt64
  public var tokens: Int
  public var seconds: Double
  /// For how much of that training stood still.
  public var pausedSeconds: Double

  public init(step: Int, seed: UInt64, tokens: Int, seconds: Double, pausedSeconds: Double) {
    self.step = step
    self.seed = seed
    self.tokens = tokens
    self.seconds = seconds
    self.pausedSeconds = pausedSeconds
  }
}

/// `POST /v1/generate` without streaming.
public struct GenerationResult: Codable, Equatable, Sendable {
  public var prompt: String
  public var text: String
  public var end: GenerationEnd

  public init(prompt: String, text: String, end: GenerationEnd) {
    self.prompt = prompt
    self.text = text
    self.end = end
  }
}

/// `POST /v1/view`: where a browser finds the live page.
public struct ViewLink: Codable, Equatable, Sendable {
  /// Good for one visit, which gives the browser a cookie.
  public var url: String
  /// Until when, in seconds since 1970.
  public var expires: Double

  public init(url: String, expires: Double) {
    self.url = url
    self.expires = expires
  }
}
