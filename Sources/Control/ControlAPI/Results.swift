/// How a run has gone, a column an array: what `GET /v1/curves` answers. Columns of a table are equally long.
public struct CurveTables: Codable, Equatable, Sendable {
  public struct Training: Codable, Equatable, Sendable {
    public var step: [Int] = []
    public var epoch: [Int] = []
    /// Nats per token.
    public var loss: [Double?] = []
    public var perplexity: [Double?] = []
    public var learningRate: [Double?] = []
    public var gradientNorm: [Double?] = []
    public var tokensPerSecond: [Double?] = []

    public init() {}
  }

  public struct Validation: Codable, Equatable, Sendable {
    public var step: [Int] = []
    public var epoch: [Int] = []
    public var loss: [Double?] = []
    public var perplexity: [Double?] = []

    public init() {}
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
  public var tokens: Int
  /// Nats per token.
  public var loss: Double
  public var perplexity: Double
  public var bitsPerToken: Double
  /// How long it took, and for how much of that training stood still.
  public var seconds: Double
  public var pausedSeconds: Double

  public init(
    step: Int, part: EvaluationRequest.Part, tokens: Int, loss: Double, perplexity: Double, bitsPerToken: Double,
    seconds: Double, pausedSeconds: Double
  ) {
    self.step = step
    self.part = part
    self.tokens = tokens
    self.loss = loss
    self.perplexity = perplexity
    self.bitsPerToken = bitsPerToken
    self.seconds = seconds
    self.pausedSeconds = pausedSeconds
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
