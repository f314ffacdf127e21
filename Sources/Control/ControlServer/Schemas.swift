import ControlAPI
import TaskMetrics

/// A type of ControlAPI with its JSON schema (OpenAPI 3.1 uses draft 2020-12).
protocol Described: Codable, Sendable {
  static var schema: JSON { get }
}

/// All of them, as the description lists them.
let describedTypes: [any Described.Type] = [
  Status.self, RunStatus.self, RankStatus.self, CurveTables.self, SampleText.self, SampleList.self,
  RunConfigurationText.self, EvaluationRequest.self, EvaluationResult.self, GenerationRequest.self,
  GenerationResult.self, GenerationEnd.self, CheckpointResult.self, Accepted.self, Job.self, JobList.self,
  JobSubmission.self, JobMove.self, ViewLink.self, LogLine.self, ErrorBody.self,
]

// MARK: The parts of a schema

extension JSON {
  static let string: JSON = ["type": "string"]
  static let number: JSON = ["type": "number"]
  /// Seconds, nats, perplexities.
  static let positive: JSON = ["type": "number", "minimum": 0]
  static let count: JSON = ["type": "integer", "minimum": 0]
  static let boolean: JSON = ["type": "boolean"]
  static let seed: JSON = ["type": "integer", "minimum": 0, "maximum": .natural(.max)]

  static func integer(_ range: ClosedRange<Int>) -> JSON {
    ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
  }

  static func list(of items: JSON) -> JSON { ["type": "array", "items": items] }

  /// A column of a table: what is not known is null.
  static let column: JSON = .list(of: ["type": ["number", "null"]])

  static func oneOf<Value: CaseIterable & RawRepresentable<String>>(_ type: Value.Type) -> JSON {
    ["type": "string", "enum": .list(Value.allCases.map { .text($0.rawValue) })]
  }

  static func record(_ fields: [String: JSON], optional: [String: JSON] = [:]) -> JSON {
    [
      "type": "object", "properties": .object(fields.merging(optional) { $1 }),
      "required": .list(fields.keys.sorted().map { .text($0) }), "additionalProperties": false,
    ]
  }

  /// What every field is that is not listed.
  func besides(_ others: JSON) -> JSON { with("additionalProperties", others) }

  static let metricDescription: JSON = .record(
    ["name": .string, "unit": .string, "scale": .oneOf(Metric.Scale.self), "isHeadline": .boolean],
    optional: ["better": .oneOf(Metric.Direction.self)])

  /// A metric of the task, under its name, with one of some words before it.
  static func metric(_ prefixes: [String]) -> JSON {
    let examples = prefixes.map { MetricKey("perplexity", prefix: $0).stringValue }
    return ["type": "number", "description": .text("A metric of the task, as in \(examples.joined(separator: ", ")).")]
  }

  static func reference(to type: any Described.Type) -> JSON { ["$ref": .text("#/components/schemas/\(type)")] }

  /// The same with a value that a field has when it is left out.
  func standard(_ value: JSON) -> JSON { with("default", value) }

  func with(_ key: String, _ value: JSON) -> JSON {
    guard case .object(var fields) = self else { preconditionFailure("\(self) is no schema") }
    fields[key] = value
    return .object(fields)
  }
}

// MARK: What is answered

extension Status: Described {
  static var schema: JSON {
    .record(
      [
        "mode": .oneOf(Mode.self), "activity": .oneOf(Activity.self), "version": .string,
        "ranks": .list(of: .reference(to: RankStatus.self)), "uptime": .positive,
      ], optional: ["run": .reference(to: RunStatus.self)])
  }
}

extension RunStatus: Described {
  static var schema: JSON {
    .record(
      [
        "name": .string, "step": .count, "totalSteps": .count, "epoch": .count, "epochs": .count, "tokens": .count,
        "skippedSteps": .count, "savedCheckpoints": .count, "delayedCheckpoints": .count, "parameters": .count,
      ],
      optional: [
        "learningRate": .number, "gradientNorm": .number,
        "tokensPerSecond": .number, "secondsLeft": .number, "bestStep": .count,
        "copiedStep": .count, "copyHost": .string,
        "metrics": .list(of: .metricDescription),
      ]
    ).besides(.metric(["", "validation", "best"]))
  }
}

extension RankStatus: Described {
  static var schema: JSON {
    .record([
      "rank": .count, "host": .string, "role": .oneOf(Role.self), "stepSeconds": .positive, "waitSeconds": .positive,
      "isStraggler": .boolean,
    ])
  }
}

extension CurveTables: Described {
  static var schema: JSON {
    let both: [String: JSON] = ["step": .list(of: .count), "epoch": .list(of: .count)]
    let training = both.merging(
      ["learningRate": .column, "gradientNorm": .column, "tokensPerSecond": .column]) { $1 }
    let metrics = JSON.column.with("description", "A metric of the task, by its name, as in perplexity.")
    return .record([
      "run": .string, "training": .record(training).besides(metrics), "validation": .record(both).besides(metrics),
    ])
  }
}

extension SampleText: Described {
  static var schema: JSON {
    .record(["step": .count, "prompt": .string, "temperature": .positive, "seed": .seed, "text": .string])
  }
}

extension SampleList: Described {
  static var schema: JSON { .record(["samples": .list(of: .reference(to: SampleText.self))]) }
}

extension RunConfigurationText: Described {
  static var schema: JSON { .record(["run": .string, "yaml": .string]) }
}

extension EvaluationResult: Described {
  static var schema: JSON {
    .record([
      "step": .count, "part": .oneOf(EvaluationRequest.Part.self), "metrics": .list(of: .metricDescription),
      "seconds": .positive, "pausedSeconds": .positive,
    ]).besides(.metric([""]))
  }
}

extension GenerationEnd: Described {
  static var schema: JSON {
    .record(["step": .count, "seed": .seed, "tokens": .count, "seconds": .positive, "pausedSeconds": .positive])
  }
}

extension GenerationResult: Described {
  static var schema: JSON {
    .record(["prompt": .string, "text": .string, "end": .reference(to: GenerationEnd.self)])
  }
}

extension CheckpointResult: Described {
  static var schema: JSON { .record(["step": .count, "path": .string]) }
}

extension Accepted: Described {
  static var schema: JSON { .record(["message": .string]) }
}

extension Job: Described {
  static var schema: JSON {
    .record(
      [
        "id": .integer(Route.ids), "name": .string, "state": .oneOf(State.self), "submitted": .number, "deaths": .count,
      ],
      optional: [
        "started": .number, "ended": .number, "error": .string, "step": .count, "totalSteps": .count,
      ]
    ).besides(.metric(["validation"]))
  }
}

extension JobList: Described {
  static var schema: JSON { .record(["jobs": .list(of: .reference(to: Job.self))]) }
}

extension ViewLink: Described {
  static var schema: JSON { .record(["url": .string, "expires": .number]) }
}

extension LogLine: Described {
  static var schema: JSON { .record(["time": .number, "level": .oneOf(Level.self), "message": .string]) }
}

extension ErrorBody: Described {
  static var schema: JSON { .record(["code": .oneOf(Failure.self), "message": .string]) }
}

// MARK: What is asked

extension EvaluationRequest: Described {
  static var schema: JSON {
    .record([:], optional: ["part": .oneOf(Part.self).standard(.text(Self().part.rawValue))])
  }
}

extension GenerationRequest: Described {
  static var schema: JSON {
    let standard = Self()
    return .record(
      [:],
      optional: [
        "prompt": JSON.object(["type": "string", "maxLength": .integer(longestPrompt)]).standard(
          .text(standard.prompt)),
        "length": .integer(lengths).standard(.integer(standard.length)),
        "temperature": JSON.object([
          "type": "number", "minimum": .number(temperatures.lowerBound), "maximum": .number(temperatures.upperBound),
        ]).standard(.number(standard.temperature)),
        "topK": .integer(topKs).standard(.integer(standard.topK)),
        "topP": JSON.object(["type": "number", "exclusiveMinimum": 0, "maximum": .number(largestTopP)])
          .standard(.number(standard.topP)),
        "minP": JSON.object([
          "type": "number", "minimum": .number(minPs.lowerBound), "maximum": .number(minPs.upperBound),
        ]).standard(.number(standard.minP)),
        "stop": [
          "type": "array", "maxItems": .integer(mostStops), "default": [],
          "items": ["type": "string", "minLength": 1, "maxLength": .integer(longestStop)],
        ],
        "seed": .seed,
        "stream": .boolean.standard(.flag(standard.stream)),
        "begin": .boolean.standard(.flag(standard.begin)),
      ]
    )
    // There is nothing to read where no line begins and nothing is there already.
    .with(
      "anyOf",
      [
        ["properties": ["begin": ["const": true]]],
        ["properties": ["prompt": ["minLength": 1]], "required": ["prompt"]],
      ])
  }
}

extension JobSubmission: Described {
  static var schema: JSON {
    .record(
      ["configuration": ["type": "string", "minLength": 1]],
      optional: [
        "settings": ["type": "array", "items": .string, "maxItems": .integer(mostSettings), "default": []]
      ])
  }
}

extension JobMove: Described {
  static var schema: JSON { .record(["position": .integer(positions)]) }
}
