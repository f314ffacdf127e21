import ControlAPI
import ControlClient
import Files
import Foundation
import Glibc
import Hummingbird
import Synchronization
import TestSupport
import Testing

@Suite struct ControlClientTests {
  private let daemon: FakeDaemon

  init() throws { daemon = try FakeDaemon() }

  /// What a client gives or throws when the daemon answers so.
  private func ask<Value: Sendable>(
    _ answer: @escaping FakeDaemon.Answer, _ request: @escaping @Sendable (ControlClient) async throws -> Value
  ) async throws -> Value {
    let daemon = daemon
    return try await daemon.serve(answer) {
      try await ControlClient.with(daemon.address, silence: .seconds(60), patience: .seconds(120)) {
        try await request($0)
      }
    }
  }

  private func failure<Value: Sendable>(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Value
  ) async throws -> ControlError {
    try #require(
      await #expect(throws: ControlError.self, sourceLocation: sourceLocation) { _ = try await body() },
      sourceLocation: sourceLocation)
  }

  // MARK: - Requests

  @Test func everyRouteIsAskedAsItIs() async throws {
    let asked = Mutex<[String]>([])
    let job = Job(id: 3, name: "a", state: .waiting, submitted: 1)
    let answer: FakeDaemon.Answer = { request in
      let body = String(buffer: try await request.body.collect(upTo: 1 << 20))
      asked.withLock { $0.append("\(request.method) \(request.uri) \(body)") }
      #expect(body.isEmpty || request.headers[.contentType] == "application/json")
      return switch request.uri.path {
      case "/v1/status": try .json(Status.example())
      case "/v1/curves": try .json(CurveTables(run: "a"))
      case "/v1/configuration": try .json(RunConfigurationText(run: "a", yaml: "name: a\n"))
      case "/v1/evaluate":
        try .json(
          EvaluationResult(
            step: 1, part: .test, metrics: .ofLanguageModels,
            values: ["tokens": 2, "loss": 3, "perplexity": 4, "bitsPerToken": 5],
            seconds: 6, pausedSeconds: 7))
      case "/v1/generate": try .json(GenerationResult(prompt: "p", text: "t", end: Self.end))
      case "/v1/checkpoint": try .json(CheckpointResult(step: 1, path: "x.h5"))
      case "/v1/pause", "/v1/resume", "/v1/stop": try .json(Accepted(message: "yes"), .accepted)
      case "/v1/view": try .json(ViewLink(url: "http://127.0.0.1:1/login?code=2", expires: 3))
      case "/v1/queue": request.method == .get ? try .json(JobList(jobs: [job])) : try .json(job, .created)
      default: try .json(job)
      }
    }
    try await ask(answer) { client in
      let status = try await client.status()
      #expect(status.value == .example())
      #expect(try JSONDecoder().decode(Status.self, from: Data(status.json.utf8)) == .example())
      #expect(try await client.curves(after: 7, points: 9).value.run == "a")
      #expect(try await client.configuration().value.yaml == "name: a\n")
      #expect(try await client.evaluate(EvaluationRequest(part: .test)).value.values["perplexity"] == 4)
      #expect(try await client.generate(GenerationRequest()).value.end == Self.end)
      #expect(try await client.checkpoint().value.path == "x.h5")
      for answer in [try await client.pause(), try await client.resume(), try await client.stop()] {
        #expect(answer.value.message == "yes")
      }
      #expect(try await client.view().value.expires == 3)
      #expect(try await client.jobs().value.jobs == [job])
      _ = try await client.submit(JobSubmission(configuration: "name: ä\n", settings: ["a=b"]))
      _ = try await client.job(3)
      _ = try await client.cancel(3)
      _ = try await client.pause(3)
      _ = try await client.resume(3)
      #expect(try await client.move(3, to: 1).value == job)
    }
    let found = asked.withLock { $0 }
    #expect(
      found.filter { !$0.hasPrefix("POST /v1/generate") && !$0.hasPrefix("POST /v1/queue {") } == [
        "GET /v1/status ", "GET /v1/curves?after=7&points=9 ", "GET /v1/configuration ",
        "POST /v1/evaluate {\"part\":\"test\"}", "POST /v1/checkpoint ", "POST /v1/pause ", "POST /v1/resume ",
        "POST /v1/stop ", "POST /v1/view ", "GET /v1/queue ", "GET /v1/queue/3 ", "POST /v1/queue/3/cancel ",
        "POST /v1/queue/3/pause ", "POST /v1/queue/3/resume ", "POST /v1/queue/3/move {\"position\":1}",
      ])
    #expect(found.contains { $0.hasPrefix("POST /v1/generate") && $0.contains("\"stream\":false") })
    #expect(found.contains { $0.hasPrefix("POST /v1/queue {") && $0.contains("name: ä") && $0.contains("a=b") })
  }

  private static let end = GenerationEnd(step: 1, seed: .max, tokens: 2, seconds: 0.5, pausedSeconds: 0.25)

  @Test func aTokenIsSentOverTCPAndReadAnew() async throws {
    let file = try daemon.folder.write("token", "  first\n")
    let daemon = daemon
    try await daemon.serveTCP { request in
      switch request.headers[.authorization] {
      case "Bearer second": try .json(Status.example())
      default: try .json(ErrorBody(code: "unauthorized", message: "a token is needed"), .unauthorized)
      }
    } _: { url in
      let address = try ControlAddress.tcp(address: url, tokenFile: file)
      func status() async throws -> Status {
        try await ControlClient.with(address, patience: .seconds(120)) { try await $0.status().value }
      }
      let error = try await failure { try await status() }
      #expect(error.description == "a token is needed" && !error.isPassing)
      try daemon.folder.write("token", "second")
      #expect(try await status() == .example())
    }
    for (text, says) in [("", "has no token"), ("two words", "has no token"), ("a\u{7}b", "has no token")] {
      try daemon.folder.write("token", text)
      let error = try await failure {
        try await ControlClient.with(.tcp(url: "http://127.0.0.1:1", tokenFile: file)) { try await $0.status().value }
      }
      #expect(error.description.contains(says))
    }
    let missing = try await failure {
      try await ControlClient.with(.tcp(url: "http://127.0.0.1:1", tokenFile: "/no/file")) {
        try await $0.status().value
      }
    }
    #expect(missing.description.contains("/no/file"))
  }

  @Test func addressesAreChecked() throws {
    for text in [
      "127.0.0.1:8080", "ftp://a:1", "http://", "http://a:1/path", "http://a:1?x", "", "http://a b", "http://a:0",
      "http://a:65536", "https://a:1",
    ] {
      expectError("expected one as in http://127.0.0.1:8080") {
        _ = try ControlAddress.tcp(address: text, tokenFile: "t")
      }
    }
    for (text, url) in [("http://a:1/", "http://a:1"), ("http://[::1]:8080", "http://[::1]:8080")] {
      #expect(try ControlAddress.tcp(address: text, tokenFile: "t") == .tcp(url: url, tokenFile: "t"))
    }
  }

  // MARK: - What goes wrong

  @Test func whatTheDaemonSaysIsShownAsItIs() async throws {
    for (status, code, isPassing) in [
      (HTTPResponse.Status.notFound, "not-found", false), (.conflict, "conflict", false),
      (.badRequest, "bad-request", false), (.serviceUnavailable, "busy", true),
      (.internalServerError, "internal", false),
    ] {
      let body = ErrorBody(code: code, message: "expected this, found that: do so — ü")
      let error = try await failure {
        try await ask { _ in
          try .json(body, status)
        } _: {
          try await $0.status().value
        }
      }
      #expect(error.reason == .refused(body) && error.description == body.message && error.isPassing == isPassing)
    }
  }

  @Test func anotherServerIsRecognized() async throws {
    for answer in [Response.text("<html>", .badGateway), .text("{\"message\": 1}", .notFound), .text("", .found)] {
      let error = try await failure {
        try await ask { _ in
          answer
        } _: {
          try await $0.status().value
        }
      }
      #expect(error.reason == .unexpected && error.description.contains("\(answer.status.code) to GET /v1/status"))
    }
    for text in ["", "{}", "<html>", "{\"mode\": \"party\"}"] {
      let error = try await failure {
        try await ask { _ in
          .text(text)
        } _: {
          try await $0.status().value
        }
      }
      #expect(error.reason == .unexpected && error.description.contains("of different versions"))
    }
  }

  @Test func noDaemonIsToldWithWhatToDo() async throws {
    func failure() async throws -> ControlError {
      try await self.failure { try await ControlClient.with(daemon.address) { try await $0.status().value } }
    }
    let none = try await failure()
    #expect(none.reason == .unreachable && none.isPassing)
    #expect(none.description.contains("no daemon has the folder \(daemon.folder.path)"))
    #expect(none.description.contains("lockstepd serve --directory \(daemon.folder.path)"))

    // A run that has one of its own is named.
    let run = daemon.folder.file("small")
    try FileSystem.createDirectory(run)
    try daemon.folder.write("small/control.sock", "")
    #expect(try await failure().description.contains("--directory \(run)"))

    // A socket that nobody listens to any more.
    let path = try ControlSocket.path(for: daemon.folder.path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    close(descriptor)
    try #require(bound == 0)
    let dead = try await failure()
    #expect(dead.reason == .unreachable && dead.description.contains("is gone") && dead.description.contains(path))

    let elsewhere = try await self.failure {
      try await ControlClient.with(.folder("/no/such")) { try await $0.status().value }
    }
    #expect(elsewhere.description.contains("there is no folder /no/such"))
    let file = try daemon.folder.write("token", "t")
    let port = try await self.failure {
      try await ControlClient.with(.tcp(url: "http://127.0.0.1:1", tokenFile: file)) { try await $0.status().value }
    }
    #expect(port.reason == .unreachable && port.description.contains("no daemon listens at http://127.0.0.1:1"))
  }

  @Test func aDaemonThatHangsOrGoesAwayIsLost() async throws {
    let daemon = daemon
    let silent = try await failure {
      try await daemon.serve { _ in
        try await Task.sleep(for: .seconds(60))
        return .text("")
      } _: {
        try await ControlClient.with(daemon.address, silence: .milliseconds(300)) { try await $0.status().value }
      }
    }
    #expect(silent.reason == .lost && silent.isPassing && silent.description.contains("does not answer in time"))
    let piece = Array("{\"mode\":".utf8)
    let broken = try await failure {
      try await ask { _ in
        .events([piece], breaks: true)
      } _: {
        try await $0.status().value
      }
    }
    #expect(broken.reason == .lost && broken.description.contains("went away in the middle"))
  }

  /// A daemon may take as long as it likes for an answer while it tells how it stands.
  @Test func aDaemonMayWorkForLong() async throws {
    let daemon = daemon
    let result = try await daemon.serve { request in
      if request.uri.path == "/v1/status" { return try .json(Status.example()) }
      try await Task.sleep(for: .seconds(6))
      return try .json(CheckpointResult(step: 1, path: "x.h5"))
    } _: {
      try await ControlClient.with(daemon.address, patience: .seconds(5)) { try await $0.checkpoint().value }
    }
    #expect(result.step == 1)
  }

  /// One that no longer tells is lost.
  @Test func aDaemonThatHangsWhileItWorksIsLost() async throws {
    for path in ["/v1/evaluate", "/v1/generate", "/v1/checkpoint"] {
      let daemon = daemon
      let asked = Mutex(0)
      let lost = try await failure {
        try await daemon.serve { request in
          if request.uri.path == "/v1/status" { asked.withLock { $0 += 1 } }
          if request.uri.path == path || asked.withLock({ $0 > 2 }) { try await Task.sleep(for: .seconds(600)) }
          return try .json(Status.example())
        } _: {
          try await ControlClient.with(daemon.address, patience: .seconds(2)) { client in
            switch path {
            case "/v1/evaluate": _ = try await client.evaluate(EvaluationRequest())
            case "/v1/generate": _ = try await client.generate(GenerationRequest()) { _ in }
            default: _ = try await client.checkpoint()
            }
          }
        }
      }
      #expect(lost.reason == .lost && lost.description.contains("does not answer in time"), "\(lost)")
      #expect(asked.withLock { $0 } >= 1, "\(path)")
    }
  }

  /// It takes the connection, as the system does for a stopped process, and says nothing.
  @Test func aDaemonThatSaysNothingIsLost() async throws {
    let daemon = daemon
    for isFollowed in [false, true] {
      let lost = try await failure {
        try await daemon.serve { _ in
          try await Task.sleep(for: .seconds(600))
          return .text("")
        } _: {
          try await ControlClient.with(daemon.address, silence: .seconds(60), patience: .seconds(1)) { client in
            if isFollowed { try await client.follow { _ in } } else { _ = try await client.jobs() }
          }
        }
      }
      #expect(lost.reason == .lost && lost.isPassing)
    }
  }

  @Test func aRequestCanBeGivenUp() async throws {
    let daemon = daemon
    try await daemon.serve { _ in
      try await Task.sleep(for: .seconds(60))
      return .text("")
    } _: {
      let task = Task { try await ControlClient.with(daemon.address) { try await $0.checkpoint().value } }
      try await Task.sleep(for: .milliseconds(200))
      task.cancel()
      await #expect(throws: CancellationError.self) { _ = try await task.value }
    }
  }

  // MARK: - Streams

  @Test func eventsComeHoweverTheyAreCut() async throws {
    let log = LogLine(time: 1, level: .info, message: "größer 🦆\nzwei")
    let job = Job(id: 1, name: "a", state: .failed, submitted: 0)
    let bytes =
      try sent("status", Status.example()) + Array(": keep alive\n\n".utf8) + sent("log", log)
      + sent("later-version", ["a": 1]) + sent("job", job)
    for piece in [1, 7, 100_000] {
      let pieces = stride(from: 0, to: bytes.count, by: piece).map { Array(bytes[$0..<min(bytes.count, $0 + piece)]) }
      let events = try await ask { _ in
        .events(pieces)
      } _: { client in
        var events: [StreamedEvent] = []
        try await client.follow { events.append($0) }
        return events
      }
      #expect(events.map(\.event) == [.status(.example()), .log(log), nil, .job(job)])
      #expect(events[2].json == "{\"event\":\"later-version\",\"data\":{\"a\":1}}")
      for event in events {
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(event.json.utf8)) }
      }
    }
    // Data of several lines is still one line.
    let lines = Array("event: log\ndata: {\"time\": 1,\ndata: \"level\": \"info\", \"message\": \"m\"}\n\n".utf8)
    let json = try await ask { _ in
      .events([lines])
    } _: { client in
      var json = ""
      try await client.follow { json = $0.json }
      return json
    }
    #expect(json == "{\"event\":\"log\",\"data\":{\"time\": 1, \"level\": \"info\", \"message\": \"m\"}}")
  }

  @Test func aStreamThatBreaksIsLost() async throws {
    let status = try sent("status", Status.example())
    let count = Mutex(0)
    let error = try await failure {
      try await ask { _ in
        .events([status], breaks: true)
      } _: { client in
        try await client.follow { _ in count.withLock { $0 += 1 } }
      }
    }
    #expect(error.reason == .lost && count.withLock { $0 } == 1)
    let wrong = try await failure {
      try await ask { _ in
        .events([Array("event: status\ndata: {\n\n".utf8)])
      } _: {
        try await $0.follow { _ in }
      }
    }
    #expect(wrong.reason == .unexpected)
  }

  @Test func textComesAsItIsWritten() async throws {
    let pieces = try [
      sent("token", ["text": "the "]), sent("token", ["text": "größte\n"]), sent("token", ["text": ""]),
      sent("end", Self.end),
    ]
    let answer: FakeDaemon.Answer = { request in
      let body = try await request.body.collect(upTo: 1 << 20)
      let asked = try JSONDecoder().decode(GenerationRequest.self, from: Data(body.readableBytesView))
      #expect(asked.stream && asked.prompt == "ä" && asked.seed == .max)
      return .events(pieces)
    }
    let (text, end) = try await ask(answer) { client in
      var request = GenerationRequest()
      (request.prompt, request.seed) = ("ä", .max)
      var text: [String] = []
      let end = try await client.generate(request) { text.append($0) }
      return (text, end)
    }
    #expect(text == ["the ", "größte\n", ""] && end == Self.end)
  }

  @Test func aTextThatEndsEarlyIsAnError() async throws {
    let token = try sent("token", ["text": "a"])
    let body = ErrorBody(code: "busy", message: "the daemon ends")
    let refused = try await failure {
      try await ask { _ in
        try .events([token, sent("error", body)])
      } _: {
        try await $0.generate(GenerationRequest()) { _ in }
      }
    }
    #expect(refused.reason == .refused(body))
    for breaks in [false, true] {
      let lost = try await failure {
        try await ask { _ in
          .events([token], breaks: breaks)
        } _: {
          try await $0.generate(GenerationRequest()) { _ in }
        }
      }
      #expect(lost.reason == .lost)
    }
  }

  @Test func aReaderThatHasEnoughEndsTheWriting() async throws {
    struct Enough: Error {}
    let token = try sent("token", ["text": "a"])
    let ended = AsyncStream<Void>.makeStream()
    let answer: FakeDaemon.Answer = { _ in
      Response(
        status: .ok,
        body: ResponseBody { writer in
          defer { ended.continuation.finish() }
          for _ in 0..<2000 {
            try await writer.write(ByteBuffer(bytes: token))
            try await Task.sleep(for: .milliseconds(5))
          }
          Issue.record("written to its end")
          try await writer.finish(nil)
        })
    }
    let daemon = daemon
    try await daemon.serve(answer) {
      await #expect(throws: Enough.self) {
        try await ControlClient.with(daemon.address) { client in
          _ = try await client.generate(GenerationRequest()) { _ in throw Enough() }
        }
      }
      for await _ in ended.stream {}
    }
  }
}
