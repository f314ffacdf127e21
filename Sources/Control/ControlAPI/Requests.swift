/// `POST /v1/evaluate`. What is left out has the value it has here.
public struct EvaluationRequest: Codable, Equatable, Sendable {
  public enum Part: String, Codable, CaseIterable, Sendable { case validation, test }
  public var part: Part = .validation

  public init(part: Part = .validation) { self.part = part }

  enum CodingKeys: String, CodingKey, CaseIterable { case part }

  public init(from decoder: any Decoder) throws {
    part = try StrictContainer<CodingKeys>(decoder).choice(.part, or: .validation)
  }
}

/// `POST /v1/generate`. What is left out has the value it has here.
public struct GenerationRequest: Codable, Equatable, Sendable {
  public var prompt = ""
  /// Tokens to write: 1 to 10,000.
  public var length = 200
  /// 0 takes the most probable token; at most 100.
  public var temperature = 1.0
  /// Only the so many most probable tokens; 0: all.
  public var topK = 0
  /// Only the most probable tokens that together have this probability; 1: all.
  public var topP = 1.0
  /// Only tokens at least so many times as probable as the most probable one; 0: all.
  public var minP = 0.0
  /// The text ends before the first of these that comes up in it.
  public var stop: [String] = []
  /// The same seed and model write the same text; left out: another one each time, told in the answer.
  public var seed: UInt64?
  /// Whether the text comes as server-sent events, `token` after `token` and then `end`, or whole when it is done.
  public var stream = false
  /// Whether the prompt begins a line, as an empty one must: the model then reads the end of a line before it.
  public var begin = true

  public init() {}

  enum CodingKeys: String, CodingKey, CaseIterable {
    case prompt, length, temperature, topK, topP, minP, stop, seed, stream, begin
  }

  public init(from decoder: any Decoder) throws {
    let fields = try StrictContainer<CodingKeys>(decoder)
    prompt = try fields.value(.prompt, or: prompt)
    length = try fields.value(.length, or: length)
    temperature = try fields.value(.temperature, or: temperature)
    topK = try fields.value(.topK, or: topK)
    topP = try fields.value(.topP, or: topP)
    minP = try fields.value(.minP, or: minP)
    stop = try fields.value(.stop, or: stop)
    seed = try fields.valueIfGiven(.seed, UInt64.self)
    stream = try fields.value(.stream, or: stream)
    begin = try fields.value(.begin, or: begin)
  }
}

/// `POST /v1/queue`.
public struct JobSubmission: Codable, Equatable, Sendable {
  /// A run's configuration, as its YAML file has it.
  public var configuration: String
  /// Settings over it, such as `training.epochs=3`.
  public var settings: [String] = []

  public init(configuration: String, settings: [String] = []) {
    self.configuration = configuration
    self.settings = settings
  }

  enum CodingKeys: String, CodingKey, CaseIterable { case configuration, settings }

  public init(from decoder: any Decoder) throws {
    let fields = try StrictContainer<CodingKeys>(decoder)
    configuration = try fields.value(.configuration)
    settings = try fields.value(.settings, or: [])
  }
}

/// `POST /v1/queue/{id}/move`.
public struct JobMove: Codable, Equatable, Sendable {
  /// The new place among the jobs that wait, from 0.
  public var position: Int
  public init(position: Int) { self.position = position }

  enum CodingKeys: String, CodingKey, CaseIterable { case position }

  public init(from decoder: any Decoder) throws {
    position = try StrictContainer<CodingKeys>(decoder).value(.position)
  }
}

/// What a request that changes the run's course is answered with, at once: the change comes at the next step.
public struct Accepted: Codable, Equatable, Sendable {
  public var message: String
  public init(message: String) { self.message = message }
}
