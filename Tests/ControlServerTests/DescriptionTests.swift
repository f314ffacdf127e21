import ControlAPI
import Foundation
import TestSupport
import Testing

@testable import ControlServer

/// What the server says of itself, for programs.
@Suite struct DescriptionTests {
  /// Every type with all that it can have.
  private static var examples: [any Described] {
    var job = Job(id: 1, name: "a", state: .failed, submitted: 1)
    job.started = 1
    job.ended = 2
    job.error = "none"
    job.step = 3
    job.totalSteps = 4
    job.validation = ["perplexity": 5]
    var generation = GenerationRequest()
    generation.seed = 1
    let status = FakeBackend.someStatus
    let end = GenerationEnd(step: 1, seed: 2, tokens: 3, seconds: 4, pausedSeconds: 5)
    let sample = SampleText(step: 1, prompt: "", temperature: 1, seed: 2, text: "")
    return [
      status, status.run ?? RunStatus(name: ""), status.ranks[0], CurveTables(run: "a"), sample,
      SampleList(samples: [sample]), RunConfigurationText(run: "", yaml: ""), EvaluationRequest(),
      EvaluationResult(
        step: 1, part: .test, metrics: .ofLanguageModels,
        values: ["tokens": 2, "loss": 3, "perplexity": 4, "bitsPerToken": 5],
        seconds: 6, pausedSeconds: 7),
      generation, GenerationResult(prompt: "", text: "", end: end), end, CheckpointResult(step: 1, path: ""),
      Accepted(message: ""), job, JobList(jobs: [job]), JobSubmission(configuration: "a"), JobMove(position: 1),
      ViewLink(url: "", expires: 1), LogLine(time: 1, level: .info, message: ""), ErrorBody.busy(""),
    ]
  }

  /// Each value, as it is encoded, has exactly the fields that its schema names, and each of the type said.
  @Test func schemasAreTrue() throws {
    #expect(Self.examples.map { "\(type(of: $0))" } == describedTypes.map { "\($0)" })
    for example in Self.examples {
      let name = "\(type(of: example))"
      let value = try JSONSerialization.jsonObject(with: JSONEncoder().encode(example))
      try expect(value, fits: type(of: example).schema, at: name, completely: true)
    }
    // What is left out need not be there.
    let least = Status(mode: .run, activity: .idle, version: "")
    try expect(
      JSONSerialization.jsonObject(with: JSONEncoder().encode(least)), fits: Status.schema, at: "Status",
      completely: false)
  }

  private func expect(_ value: Any, fits schema: JSON, at place: String, completely: Bool) throws {
    guard case .object(let parts) = schema else {
      Issue.record("\(place) has no schema")
      return
    }
    if case .text(let reference) = parts["$ref"] {
      let name = reference.split(separator: "/").last.map(String.init)
      let type = try #require(describedTypes.first { "\($0)" == name }, "\(reference) leads nowhere")
      return try expect(value, fits: type.schema, at: place, completely: false)
    }
    switch parts["type"] {
    case .text("object"):
      let fields = try #require(value as? [String: Any], "\(place)")
      guard case .object(let properties) = parts["properties"], case .list(let required) = parts["required"] else {
        Issue.record("\(place) says nothing of its fields")
        return
      }
      // What is not listed is a metric, where there may be some.
      let others: JSON? =
        if case .object(_)? = parts["additionalProperties"] { parts["additionalProperties"] } else { nil }
      if others == nil { #expect(Set(fields.keys).isSubset(of: properties.keys), "\(place)") }
      if completely { #expect(Set(fields.keys).isSuperset(of: properties.keys), "\(place)") }
      for case .text(let name) in required { #expect(fields[name] != nil, "\(place).\(name)") }
      for (name, field) in fields {
        try expect(field, fits: properties[name] ?? others ?? [:], at: "\(place).\(name)", completely: completely)
      }
    case .text("array"):
      for item in try #require(value as? [Any], "\(place)") {
        try expect(item, fits: parts["items"] ?? [:], at: "\(place)[]", completely: false)
      }
    case .text("string"): #expect(value is String, "\(place)")
    case .text("integer"), .text("number"): #expect(value is NSNumber, "\(place)")
    case .text("boolean"): #expect(value is Bool, "\(place)")
    case .list(["number", "null"]): #expect(value is NSNumber || value is NSNull, "\(place)")
    default: Issue.record("\(place) has an unknown schema: \(schema)")
    }
  }

  @Test func everyRouteIsDescribed() throws {
    let server = try TestServer()
    let answer = try server.request("GET", "/openapi.json")
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
    let paths = try #require(document["paths"] as? [String: [String: [String: Any]]])
    let described = Set(paths.flatMap { path, operations in operations.keys.map { "\($0) \(path)" } })
    let there = server.routes.map { "\($0.method.rawValue.lowercased()) \($0.path)" }
    #expect(described == Set(there) && there.count == described.count)
    // References lead somewhere.
    let components = try #require(document["components"] as? [String: [String: Any]])
    for match in answer.body.matches(of: /"#\/components\/([a-z]+)\/([A-Za-z-]+)"/) {
      #expect(components[String(match.1)]?[String(match.2)] != nil, "\(match.0)")
    }
    // A body is needed where a field is.
    func needsBody(_ path: String) -> Bool? {
      (paths[path]?["post"]?["requestBody"] as? [String: Any])?["required"] as? Bool
    }
    #expect(needsBody("/v1/queue") == true && needsBody("/v1/generate") == false && needsBody("/v1/pause") == nil)
  }

  @Test func metrics() throws {
    let server = try TestServer()
    let answer = try server.request("GET", "/metrics")
    #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
    for line in [
      #"lockstep_build_info{version="0.1.0"} 1"#, "lockstep_uptime_seconds 61.5",
      #"lockstep_activity{activity="training",mode="serve"} 1"#, #"lockstep_activity{activity="idle",mode="serve"} 0"#,
      #"lockstep_run_steps_total{run="shakespeare"} 1200"#,
      #"lockstep_run_validation_perplexity{run="shakespeare"} 121.5"#,
      #"lockstep_rank_step_seconds{host="node\"3\\",rank="3",role="training"} 0.011"#,
    ] {
      #expect(answer.body.contains("\(line)\n"), "\(line) in:\n\(answer.body)")
    }
    let seconds = try #require(answer.body.firstMatch(of: /lockstep_control_cpu_seconds_total ([0-9.]+)\n/))
    #expect(Double(seconds.1).map { $0 > 0 } == true)
    try promtool(answer.body, in: server.folder)
    // With nothing known, and with what is no number.
    var run = RunStatus(name: "a\nb")
    run.training["loss"] = .nan
    run.training["perplexity"] = .infinity
    for status in [
      Status(mode: .run, activity: .idle, version: "\""), Status(mode: .run, activity: .saving, version: "1", run: run),
    ] {
      try promtool(PrometheusText.text(status), in: server.folder)
    }
  }

  /// `promtool check metrics`, of Debian's package prometheus.
  private func promtool(_ text: String, in folder: TemporaryFolder) throws {
    try folder.write("metrics.txt", text)
    let outcome = try Programs.run(
      "bash",
      [
        "-c",
        "command -v promtool >/dev/null || { echo 'promtool is missing: install the package prometheus'; exit 1; }; "
          + "promtool check metrics <metrics.txt",
      ], in: folder.path)
    #expect(outcome.status == 0 && outcome.error == "", "\(outcome.output)\(outcome.error)\n\(text)")
  }
}
