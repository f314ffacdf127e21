import ControlAPI
import Foundation
import Testing

@testable import ControlServer

/// What comes piece by piece, and what becomes of it when somebody has gone or does not listen.
@Suite struct StreamTests {
  private static let head = "POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

  private func follow(_ server: TestServer, seconds: Int = 20) throws -> RawClient {
    let client = try server.connect(seconds: seconds)
    try client.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    let head = try client.head()
    #expect(head.status == 200 && head.headers["content-type"] == "text/event-stream")
    return client
  }

  private func decoded<Value: Decodable>(_ data: String) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(data.utf8))
  }

  @Test func everyEvent() throws {
    let server = try TestServer()
    let client = try follow(server)
    let first = try #require(try client.event())
    #expect(first.name == "status")
    #expect(try decoded(first.data) == FakeBackend.someStatus)

    let job = Job(id: 7, name: "tiny", state: .running, submitted: 5)
    let sample = SampleText(step: 3, prompt: "a", temperature: 0, seed: 9, text: "line\nline\u{2028}\"\\")
    let line = LogLine(time: 1, level: .warning, message: "disk is nearly full")
    let curves = try server.backend.curves(after: 1190, points: 2)
    let evaluation = EvaluationResult(
      step: 1, part: .test, metrics: .ofLanguageModels,
      values: ["tokens": 2, "loss": 3, "perplexity": 4, "bitsPerToken": 5],
      seconds: 6, pausedSeconds: 7)
    for event: Event in [.job(job), .sample(sample), .log(line), .curves(curves), .evaluation(evaluation)] {
      server.backend.send(event)
      let got = try #require(try client.event())
      #expect(got.name == event.name)
      switch event {
      case .job: #expect(try decoded(got.data) == job)
      case .sample: #expect(try decoded(got.data) == sample)
      case .log: #expect(try decoded(got.data) == line)
      case .curves: #expect(try decoded(got.data) == curves)
      case .evaluation: #expect(try decoded(got.data) == evaluation)
      case .status: Issue.record("not sent")
      }
    }
  }

  /// JSON has no such number; whoever follows learns that something is missing.
  @Test func anEventThatCannotBeTold() throws {
    let server = try TestServer()
    let client = try follow(server)
    _ = try client.event()
    var run = RunStatus(name: "x")
    run.training["loss"] = .nan
    server.backend.send(.status(Status(mode: .run, activity: .training, version: "1", run: run)))
    let got = try #require(try client.event())
    #expect(got.name == "log")
    #expect(try decoded(got.data, as: LogLine.self).message.contains("'status' cannot be told"))
  }

  private func decoded<Value: Decodable>(_ data: String, as type: Value.Type) throws -> Value { try decoded(data) }

  @Test func followersThatLeaveMakePlace() throws {
    let server = try TestServer { $0.followers = 2 }
    var clients = try [follow(server), follow(server)]
    let busy = try server.request("GET", "/v1/events")
    #expect(busy.status == 503 && busy.headers["retry-after"] == "1")
    #expect(try busy.decoded(ErrorBody.self).code == "busy")
    clients.removeLast()
    #expect(soon { (try? server.request("GET", "/v1/curves?after=0").status) == 200 })
    var third: RawClient?
    #expect(
      soon {
        third = try? follow(server)
        return third != nil
      })
    #expect(try third?.event()?.name == "status")
    #expect(try clients[0].event()?.name == "status")
  }

  /// One that does not read gets the newest status and everything else; for another, meanwhile, nothing is late.
  @Test func slowFollowersMissStatuses() throws {
    let server = try TestServer { $0.followerBytes = 64 << 20 }
    let (slow, quick) = (try follow(server), try follow(server))
    _ = try quick.event()
    var status = FakeBackend.someStatus
    let line = LogLine(time: 0, level: .info, message: String(repeating: "x", count: 100_000))
    for step in 1...200 {
      status.run?.step = step
      server.backend.send(.status(status))
      if step % 10 == 0 { server.backend.send(.log(line)) }
      while let event = try quick.event() {
        if event.name == "status", try decoded(event.data, as: Status.self).run?.step == step { break }
      }
    }
    var (statuses, lines, last) = (0, 0, 0)
    while lines < 20 || last < 200, let event = try slow.event() {
      if event.name == "log" { lines += 1 }
      if event.name == "status" {
        statuses += 1
        last = try #require(try decoded(event.data, as: Status.self).run?.step)
      }
    }
    #expect(lines == 20 && last == 200 && statuses < 150, "\(statuses) statuses")
  }

  @Test func followersThatNeverReadAreCutOff() throws {
    let server = try TestServer { $0.followerBytes = 1 << 20 }
    let client = try follow(server)
    let line = LogLine(time: 0, level: .info, message: String(repeating: "x", count: 100_000))
    for _ in 0..<50 { server.backend.send(.log(line)) }
    // All that was on the way comes, and then the end, in the middle of things.
    #expect(client.isHungUp())
    var count = 0
    #expect(throws: RawClient.Failure.closed) { while try client.event() != nil { count += 1 } }
    #expect(count < 50)
    #expect(try server.request("GET", "/v1/status").status == 200)
  }

  /// A client that takes nothing for `writeTime` goes, even if little waits.
  @Test func writingHasAnEnd() throws {
    let server = try TestServer {
      $0.writeTime = .milliseconds(200)
      $0.followerBytes = 64 << 20
    }
    let client = try follow(server)
    let line = LogLine(time: 0, level: .info, message: String(repeating: "x", count: 3_000_000))
    server.backend.send(.log(line))
    server.backend.send(.log(line))
    #expect(client.isHungUp())
    #expect(throws: RawClient.Failure.closed) { while try client.event() != nil {} }
  }

  // MARK: Generations

  @Test func generationWhole() throws {
    let server = try TestServer()
    let answer = try server.request("POST", "/v1/generate", body: #"{"prompt":"go","length":3,"seed":5}"#)
    #expect(answer.status == 200)
    let result: GenerationResult = try answer.decoded()
    #expect(result.prompt == "go" && result.text == "w0 w1 w2 " && result.end.seed == 5 && result.end.tokens == 3)
    let asked = server.backend.state.withLock { $0.generation }
    #expect(asked.length == 3 && asked.temperature == 1 && asked.topP == 1 && asked.topK == 0 && !asked.stream)
    #expect(try server.request("POST", "/v1/generate").decoded(GenerationResult.self).end.tokens == 200)
    let refused = try server.request("POST", "/v1/generate", body: #"{"prompt":"impossible","stream":true}"#)
    #expect(refused.status == 400 && refused.body.contains("words the model does not know"))
  }

  @Test func generationPieceByPiece() throws {
    let server = try TestServer()
    let client = try server.connect()
    let body = #"{"length":3,"stream":true}"#
    try client.send("\(Self.head)Content-Length: \(body.count)\r\n\r\n\(body)")
    #expect(try client.head().headers["content-type"] == "text/event-stream")
    for index in 0..<3 {
      let event = try #require(try client.event())
      #expect(event.name == "token" && event.data == #"{"text":"w\#(index) "}"#)
    }
    let end = try #require(try client.event())
    #expect(end.name == "end")
    #expect(try decoded(end.data, as: GenerationEnd.self).tokens == 3)
    #expect(try client.event() == nil)
    #expect(try client.request("GET", "/v1/status").status == 200)
  }

  @Test func generationThatBreaksOff() throws {
    let server = try TestServer()
    for stream in [true, false] {
      let answer = try server.request(
        "POST", "/v1/generate", body: #"{"prompt":"breaks","stream":\#(stream)}"#)
      #expect(answer.status == (stream ? 200 : 409))
      let error = try #require(answer.body.split(separator: "\n").last)
      #expect(
        try decoded(String(error.replacing("data: ", with: "")), as: ErrorBody.self)
          == ErrorBody.conflict("the run has ended"))
      if stream { #expect(answer.body.contains("event: error\n")) }
    }
  }

  @Test(arguments: [true, false]) func clientsThatLeaveEndTheirGeneration(stream: Bool) throws {
    let server = try TestServer(FakeBackend(pace: 20_000)) { $0.generations = 1 }
    let body = #"{"length":10000,"stream":\#(stream)}"#
    var client: RawClient? = try server.connect()
    try client?.send("\(Self.head)Content-Length: \(body.count)\r\n\r\n\(body)")
    #expect(soon { server.backend.state.withLock { $0.generation.length } == 10000 })
    if stream { #expect(try client?.head().status == 200) }
    // Its place is taken.
    let busy = try server.request("POST", "/v1/generate", body: #"{"length":1}"#)
    #expect(busy.status == 503 && busy.headers["retry-after"] == "1")
    client = nil
    #expect(soon { server.backend.state.withLock { $0.givenUp } == 1 })
    #expect(soon { (try? server.request("POST", "/v1/generate", body: #"{"length":1}"#).status) == 200 })
  }

  /// With streams open and work under way, stopping does not wait.
  @Test func stoppingEndsEverything() throws {
    let server = try TestServer(FakeBackend(pace: 20_000), at: "127.0.0.1:0")
    let follower = try follow(server)
    _ = try follower.event()
    let idle = try server.connect()
    _ = try idle.request("GET", "/v1/status")
    let body = #"{"length":10000}"#
    let waiting = try server.connect()
    try waiting.send("\(Self.head)Content-Length: \(body.count)\r\n\r\n\(body)")
    #expect(soon { server.backend.state.withLock { $0.generation.length } == 10000 })
    let port = server.port
    let start = Date.now
    #expect(server.server.stop())
    #expect(Date.now.timeIntervalSince(start) < 3)
    #expect(follower.isClosed() && idle.isClosed())
    #expect(throws: RawClient.Failure.self) { try RawClient(port: port) }
    #expect(server.backend.state.withLock { $0.givenUp } == 1)
  }
}
