import ControlAPI
import Foundation
import TestSupport
import Testing

@testable import ControlServer

/// What is asked is answered, over the Unix socket.
@Suite struct RouteTests {
  @Test func whatIsKnown() throws {
    let server = try TestServer()
    let client = try server.connect()
    let status = try client.request("GET", "/v1/status")
    #expect(status.status == 200 && status.headers["content-type"] == "application/json")
    #expect(status.headers["cache-control"] == "no-store" && status.headers["x-content-type-options"] == "nosniff")
    #expect(try status.decoded() == FakeBackend.someStatus)
    // The same connection serves again.
    let curves: CurveTables = try client.request("GET", "/v1/curves").decoded()
    #expect(
      curves.training.step.count == 120 && curves.training.metrics["loss"]?[0] == .some(nil)
        && curves.training.metrics["loss"]?[1] == 5)
    let part: CurveTables = try client.request("GET", "/v1/curves?after=100&points=2").decoded()
    #expect(part.training.step == [110, 120])
    #expect(try client.request("GET", "/v1/samples").decoded() == server.backend.samples())
    #expect(try client.request("GET", "/v1/configuration").decoded() == server.backend.configuration())
  }

  @Test func whatIsAskedAndTold() throws {
    let server = try TestServer()
    let evaluation: EvaluationResult = try server.request("POST", "/v1/evaluate", body: #"{"part":"test"}"#).decoded()
    #expect(evaluation.part == .test)
    // Nothing stands for {}.
    let standard: EvaluationResult = try server.request("POST", "/v1/evaluate").decoded()
    #expect(standard.part == .validation)
    #expect(try server.request("POST", "/v1/checkpoint").decoded(CheckpointResult.self).step == 1200)
    for verb in ["pause", "resume", "stop"] {
      let answer = try server.request("POST", "/v1/\(verb)", body: "{}")
      #expect(answer.status == 202)
      #expect(try answer.decoded() == Accepted(message: "\(verb) at the next step"))
    }
    #expect(server.backend.state.withLock { $0.told } == ["pause", "resume", "stop"])
  }

  @Test func queue() throws {
    let server = try TestServer()
    let client = try server.connect()
    let submitted = try client.request("POST", "/v1/queue", body: #"{"configuration":"name: x\n"}"#)
    #expect(submitted.status == 201)
    #expect(try submitted.decoded(Job.self).id == 1)
    #expect(try client.request("GET", "/v1/queue").decoded(JobList.self).jobs.count == 1)
    #expect(try client.request("GET", "/v1/queue/1").decoded(Job.self).state == .waiting)
    #expect(try client.request("POST", "/v1/queue/1/pause").decoded(Job.self).state == .paused)
    #expect(try client.request("POST", "/v1/queue/1/resume").decoded(Job.self).state == .waiting)
    #expect(try client.request("POST", "/v1/queue/1/move", body: #"{"position":0}"#).status == 200)
    #expect(try client.request("POST", "/v1/queue/1/cancel").decoded(Job.self).state == .cancelled)
    let missing = try client.request("GET", "/v1/queue/2")
    #expect(missing.status == 404)
    #expect(try missing.decoded() == ErrorBody.notFound("there is no job 2"))
  }

  @Test func whatIsNotThere() throws {
    let server = try TestServer()
    let client = try server.connect()
    let missing = try client.request("GET", "/v1/nothing")
    #expect(missing.status == 404)
    #expect(try missing.decoded(ErrorBody.self).code == "not-found")
    for (method, path, allowed) in [
      ("DELETE", "/v1/status", "GET"), ("HEAD", "/v1/status", "GET"), ("GET", "/v1/queue/1/cancel", "POST"),
      ("PUT", "/v1/queue", "GET, POST"), ("GET", "/v1/pause", "POST"), ("PROPFIND", "/", "GET"),
    ] {
      let answer = try client.request(method, path)
      #expect(answer.status == 405 && answer.headers["allow"] == allowed, "\(method) \(path): \(answer)")
    }
  }

  /// Each is refused, with a message that names the field.
  @Test(arguments: [
    ("POST", "/v1/generate", #"{"length":0}"#, "length: expected a number from 1 to 10000, found 0"),
    ("POST", "/v1/generate", #"{"length":10001}"#, "length"),
    ("POST", "/v1/generate", #"{"length":1.5}"#, "length: expected a whole number"),
    ("POST", "/v1/generate", #"{"length":"7"}"#, "length: expected a whole number"),
    ("POST", "/v1/generate", #"{"length":null}"#, "length: expected a whole number, found null"),
    ("POST", "/v1/generate", #"{"temperature":-0.1}"#, "temperature"),
    ("POST", "/v1/generate", #"{"temperature":100.5}"#, "temperature"),
    ("POST", "/v1/generate", #"{"temperature":1e999}"#, "temperature: expected a number"),
    ("POST", "/v1/generate", #"{"temperature":NaN}"#, "JSON"),
    ("POST", "/v1/generate", #"{"topK":-1}"#, "topK"),
    ("POST", "/v1/generate", #"{"topP":0}"#, "topP: expected a number above 0"),
    ("POST", "/v1/generate", #"{"topP":1.01}"#, "topP"),
    ("POST", "/v1/generate", #"{"minP":1.01}"#, "minP"),
    ("POST", "/v1/generate", #"{"stop":[""]}"#, "stop: expected texts of 1 to 256 characters, found one of 0"),
    ("POST", "/v1/generate", #"{"stop":"a"}"#, "stop"),
    ("POST", "/v1/generate", #"{"seed":-1}"#, "seed"),
    ("POST", "/v1/generate", #"{"seed":null}"#, "seed: expected a whole number, found null"),
    ("POST", "/v1/generate", #"{"seed":18446744073709551616}"#, "seed"),
    ("POST", "/v1/generate", #"{"stream":1}"#, "stream: expected true or false"),
    ("POST", "/v1/generate", #"{"prompt":["a"]}"#, "prompt: expected a text"),
    ("POST", "/v1/generate", #"{"prompt":"\ud800"}"#, "prompt: expected a text"),
    ("POST", "/v1/generate", #"{"begin":false}"#, "prompt: expected a text where begin is false, found an empty one"),
    ("POST", "/v1/generate", #"{"begin":0}"#, "begin: expected true or false"),
    ("POST", "/v1/generate", #"{"lenght":5}"#, "unknown field 'lenght'; known here: prompt, length"),
    ("POST", "/v1/generate", #"{"length":5"#, "JSON"),
    ("POST", "/v1/generate", #"[]"#, "expected a JSON object"),
    ("POST", "/v1/generate", #""text""#, "expected a JSON object"),
    ("POST", "/v1/evaluate", #"{"part":"training"}"#, "part: expected one of validation, test, found 'training'"),
    ("POST", "/v1/queue", "", "'configuration' is missing"),
    ("POST", "/v1/queue", #"{"configuration":""}"#, "configuration: expected the text"),
    ("POST", "/v1/queue", #"{"configuration":"x","settings":"a=1"}"#, "settings: expected a list"),
    ("POST", "/v1/queue", #"{"configuration":"x","settings":[1]}"#, "settings"),
    ("POST", "/v1/queue/1/move", "{}", "'position' is missing"),
    ("POST", "/v1/queue/1/move", #"{"position":-1}"#, "position"),
    ("GET", "/v1/queue/0", "", "'0' is no number of a job"),
    ("GET", "/v1/queue/one", "", "'one' is no number of a job"),
    ("GET", "/v1/queue/99999999999999999999", "", "no number of a job"),
    ("GET", "/v1/curves?after=-1", "", "after: expected a whole number from 0"),
    ("GET", "/v1/curves?points=1", "", "points: expected a whole number from 2 to 20000, found '1'"),
    ("GET", "/v1/curves?points=20001", "", "points"),
    ("GET", "/v1/curves?points=", "", "points"),
    ("GET", "/v1/curves?points=5&points=6", "", "there twice"),
    ("GET", "/v1/curves?point=5", "", "unknown query parameter 'point'; known: after, points"),
    ("GET", "/v1/status?x", "", "unknown query parameter 'x'; known: there are none here"),
  ])
  func valuesThatCannotBe(_ method: String, _ path: String, _ body: String, _ message: String) throws {
    let answer = try TestServer().request(method, path, body: method == "POST" ? body : nil)
    let error = try answer.decoded(ErrorBody.self)
    #expect(answer.status == 400 && error.code == "bad-request", "\(answer)")
    #expect(error.message.contains(message), "\(error.message)")
  }

  @Test func bytesThatAreNoText() throws {
    let server = try TestServer()
    let client = try server.connect()
    let body: [UInt8] = Array(#"{"prompt":""#.utf8) + [0xff, 0xfe] + Array(#""}"#.utf8)
    try client.send(
      "POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
    )
    try client.send(body)
    let answer = try client.answer()
    #expect(answer.status == 400, "\(answer)")
  }

  @Test func bodyOfAnotherKind() throws {
    let server = try TestServer()
    for type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
      let answer = try server.request("POST", "/v1/generate", headers: ["Content-Type": type], body: "{}")
      #expect(answer.status == 415 && answer.body.contains("expected application/json"), "\(answer)")
    }
    let answer = try server.request(
      "POST", "/v1/generate", headers: ["Content-Type": "Application/JSON ; charset=utf-8"], body: #"{"length":1}"#)
    #expect(answer.status == 200)
  }

  /// The client learns that something is wrong; what it is, the daemon is told.
  @Test func faultsOfTheDaemon() throws {
    struct SecretFault: Error {}
    let server = try TestServer()
    server.backend.state.withLock { $0.fault = SecretFault() }
    let answer = try server.request("POST", "/v1/checkpoint")
    #expect(answer.status == 500 && !answer.body.contains("Secret"))
    #expect(try answer.decoded() == ErrorBody(code: "internal", message: "a fault of the daemon"))
    #expect(server.reports.lines.withLock { $0 } == ["POST /v1/checkpoint: SecretFault()"])
    server.backend.state.withLock { $0.fault = ErrorBody.conflict("no run is under way") }
    let conflict = try server.request("POST", "/v1/checkpoint")
    #expect(conflict.status == 409)
    #expect(try conflict.decoded() == ErrorBody.conflict("no run is under way"))
  }

  @Test func thePage() throws {
    let server = try TestServer()
    let answer = try server.request("GET", "/")
    #expect(answer.status == 200 && answer.headers["content-type"] == "text/html; charset=utf-8")
    let policy = try #require(answer.headers["content-security-policy"])
    #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"))
    #expect(!policy.contains("script-src 'unsafe"))
    // Every part is in its place.
    #expect(answer.body.hasPrefix("<!doctype html>") && answer.body.hasSuffix("</html>\n"))
    #expect(!answer.body.contains("{{") && answer.body.contains("\nfollow();\n</script>"))
    // Its script is the one that the policy lets run, and handlers in attributes would not run.
    #expect(LivePage.scripts(in: answer.body).count == 1)
    #expect(answer.body.firstMatch(of: /<[^>]+\son[a-z]+=/) == nil)
  }
}
