import Checkpoints
import ControlAPI
import Files
import Foundation
import TestSupport
import Testing

/// A run that trains on two ranks is asked by curl, at its Unix socket and over TCP.
@Suite struct ControlTests {
  /// A text in files, so that other programs can be shown the same parts.
  private func prepare(_ folder: TemporaryFolder) throws -> [String] {
    let sample = try Programs.lockstep("corpus", "sample", "--lines", "2000", "--output", ".", in: folder.path)
    try #require(sample.status == 0, "\(sample.error)")
    let lines = try String(contentsOfFile: folder.file("sample.txt"), encoding: .utf8).split(separator: "\n")
    for (name, part) in [("train", lines[..<1600]), ("validation", lines[1600..<1800]), ("test", lines[1800...])] {
      try folder.write("\(name).txt", part.map { "\($0)\n" }.joined())
    }
    return try ["run", folder.writeSmallConfiguration()]
      + set(
        "corpus.sampleLines=0", "corpus.train=train.txt", "corpus.validation=validation.txt", "corpus.test=test.txt",
        "evaluation.lanes=1", "model.hiddenSizes=[256]", "model.dropout=0.2", "generation.temperatures=[]")
  }

  @Test func aRunThatIsAskedMuchEndsWithTheSameBits() throws {
    let folder = try TemporaryFolder()
    let command = try prepare(folder) + endless
    let daemon = DaemonProcess(
      command + set("name=asked") + ["--listen", "127.0.0.1:0"], serving: "checkpoints/asked", in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let socket = try daemon.socket()
    let tcp = Curl(try daemon.origin(), token: try daemon.token())
    for curl in [socket, tcp] { try ask(curl, folder) }
    try askWhilePaused(socket, tcp, daemon, folder)

    try #require(try socket.post("/v1/resume").status == 202)
    let paused = try #require(try socket.get("/v1/status").value(Status.self).run?.step)
    try daemon.waitForStep(paused + 20, of: "asked")
    #expect(try tcp.post("/v1/stop").status == 202)
    #expect(try daemon.statusAtEnd() == 75)
    try expectGone(socket, tcp, folder)

    let end = set("training.maximumSteps=\(try folder.savedStep(of: "asked") + 20)")
    let rest = try Programs.lockstepd(ranks: 2, command + set("name=asked") + end, in: folder.path)
    #expect(rest.status == 0 && rest.output.contains("resumes at step"), "\(rest.error)")
    let alone = try Programs.lockstepd(ranks: 2, command + set("name=alone") + end, in: folder.path, seconds: 600)
    try #require(alone.status == 0, "\(alone.error)")
    #expect(try folder.numbers(of: "asked") == folder.numbers(of: "alone"))
  }

  /// What is answered between steps.
  private func ask(_ curl: Curl, _ folder: TemporaryFolder) throws {
    let status = try curl.get("/v1/status").value(Status.self)
    #expect(status.mode == .run && status.ranks.map(\.rank) == [0, 1])
    let begun = try #require(status.run)
    #expect(begun.name == "asked" && begun.epochs == 100_000 && begun.totalSteps > begun.step)

    let evaluation = try curl.post("/v1/evaluate", EvaluationRequest(part: .test)).value(EvaluationResult.self)
    #expect(evaluation.part == .test && evaluation.step >= begun.step)
    let (loss, perplexity) = (evaluation.values["loss"] ?? 0, evaluation.values["perplexity"] ?? 0)
    #expect(loss > 0 && abs(exp(loss) - perplexity) < 1e-6 * perplexity)
    #expect(evaluation.metrics.map(\.name) == ["loss", "perplexity", "bitsPerToken", "tokens"])

    var request = GenerationRequest()
    request.prompt = "the"
    request.length = 30
    let whole = try curl.post("/v1/generate", request).value(GenerationResult.self)
    #expect(whole.prompt == "the" && whole.end.tokens == 30)
    // A token is a word or the end of a line.
    #expect(whole.text.split(omittingEmptySubsequences: false) { $0 == " " || $0 == "\n" }.count >= 20, "\(whole.text)")

    // A text of many slices: training goes on between them.
    request.length = 10_000
    request.stream = true
    let before = try #require(try curl.get("/v1/status").value(Status.self).run?.step)
    let (tokens, end) = try streamed(curl.post("/v1/generate", request))
    let after = try #require(try curl.get("/v1/status").value(Status.self).run?.step)
    #expect(tokens.count > 3 && end.tokens == 10_000)
    #expect(end.step >= before && after > end.step, "the text was begun after step \(end.step)")
    #expect(end.pausedSeconds < end.seconds)

    let checkpoint = try curl.post("/v1/checkpoint").value(CheckpointResult.self)
    #expect(throws: Never.self) { try CheckpointFile(folder.file(checkpoint.path)) }
    #expect(checkpoint.step >= end.step)

    request.stream = false
    request.prompt = "the xylophone"
    let refused = try curl.post("/v1/generate", request)
    #expect(refused.status == 400 && refused.body.contains("xylophone"), "\(refused.body)")
    #expect(try curl.send("POST", "/v1/evaluate", ["--data", "{\"part\": \"train\"}"]).status >= 400)
    #expect(try curl.get("/v1/queue").status == 409, "one run has no queue")
  }

  /// While training stands still, everything is about the same parameters.
  private func askWhilePaused(_ socket: Curl, _ tcp: Curl, _ daemon: DaemonProcess, _ folder: TemporaryFolder) throws {
    try #require(try tcp.post("/v1/pause").status == 202)
    let status = try daemon.wait("the pause") {
      let status = try socket.get("/v1/status").value(Status.self)
      return status.activity == .paused ? status : nil
    }
    let run = try #require(status.run)

    var request = GenerationRequest()
    request.prompt = "the"
    request.length = 100
    request.seed = 7
    let texts = try [socket, tcp, socket].map { try $0.post("/v1/generate", request).value(GenerationResult.self) }
    for text in texts { #expect(text.text == texts[0].text && text.end.step == run.step && text.end.seed == 7) }
    request.stream = true
    #expect(try streamed(tcp.post("/v1/generate", request)).tokens.joined() == texts[0].text)
    request.stream = false
    request.seed = 8
    #expect(try socket.post("/v1/generate", request).value(GenerationResult.self).text != texts[0].text)

    let evaluation = try socket.post("/v1/evaluate", EvaluationRequest()).value(EvaluationResult.self)
    let checkpoint = try tcp.post("/v1/checkpoint").value(CheckpointResult.self)
    #expect(evaluation.step == run.step && checkpoint.step == run.step)
    let outcome = try Programs.lockstep(
      "evaluate", checkpoint.path, "validation.txt", "--format", "json", in: folder.path)
    let report = try JSONDecoder().decode(EvaluationReport.self, from: Data(outcome.output.utf8))
    #expect(evaluation.values["tokens"] == Double(report.predictions))
    let loss = evaluation.values["loss"] ?? 0
    #expect(abs(loss - report.loss) < 1e-5, "\(loss), lockstep evaluate \(report.loss)")

    // A prompt means the same to the daemon and to the command line: it begins a line, or does not.
    request.temperature = 0
    for begin in [true, false] {
      request.begin = begin
      let text = try socket.post("/v1/generate", request).value(GenerationResult.self).text
      let written = try Programs.lockstep(
        "generate", checkpoint.path, "--prompt", "the", "--length", "100", "--temperature", "0",
        begin ? "--begin" : "--no-begin", in: folder.path)
      #expect(written.output == "the\(text)\n", "\(written.error)")
    }

    try daemon.expectIdle("while the run pauses")
    #expect(try socket.get("/v1/status").value(Status.self).run?.step == run.step)
  }

  private struct EvaluationReport: Decodable {
    let predictions: Int
    let loss: Double
  }

  /// The pieces of a text that came as events, and its end.
  private func streamed(_ reply: Reply) throws -> (tokens: [String], end: GenerationEnd) {
    struct Token: Decodable { let text: String }
    try #require(reply.status == 200 && reply.head.lowercased().contains("text/event-stream"), "\(reply)")
    let events = reply.events
    let end = try #require(events.last)
    try #require(end.name == "end" && events.dropLast().allSatisfy { $0.name == "token" }, "\(events)")
    return (
      try events.dropLast().map { try JSONDecoder().decode(Token.self, from: Data($0.data.utf8)).text },
      try JSONDecoder().decode(GenerationEnd.self, from: Data(end.data.utf8))
    )
  }

  /// Nothing of a daemon that has ended is left, and who asks it is told.
  private func expectGone(_ socket: Curl, _ tcp: Curl, _ folder: TemporaryFolder) throws {
    for name in ["control.sock", "control.token"] {
      #expect(!FileSystem.exists(folder.file("checkpoints/asked/\(name)")))
    }
    for curl in [socket, tcp] { #expect(throws: NoReply.self) { try curl.get("/v1/status") } }
    let outcome = try Programs.lockstep("ask", "status", "--directory", "checkpoints/asked", in: folder.path)
    #expect(outcome.status == 1 && outcome.error.contains("checkpoints/asked"), "\(outcome.error)")
  }

  /// A process that is stopped, or hangs: the system takes connections for it, and nothing is said.
  @Test func whoeverAsksADaemonThatSaysNothingIsTold() throws {
    let folder = try TemporaryFolder()
    let path = try ControlSocket.path(for: folder.path)
    let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0 && listen(descriptor, 100) == 0)
    let commands = ["ask status", "ask evaluate", "ask generate", "job list", "job watch", "view"]
    let script = """
      for command in \(commands.map { "'\($0)'" }.joined(separator: " ")); do
        (\(Programs.folder)/lockstep $command --directory . 2>"$command"; echo "$command: $?") &
      done
      wait
      """
    let outcome = try Programs.run("bash", ["-c", script], in: folder.path, seconds: 120)
    #expect(outcome.output.split(separator: "\n").sorted() == commands.map { "\($0): 1" }.sorted(), "\(outcome)")
    for command in commands {
      let error = try String(contentsOfFile: folder.file(command), encoding: .utf8)
      #expect(error.contains("does not answer in time"), "\(command): \(error)")
    }
  }

  @Test func nothingIsToldWithoutTheToken() throws {
    let folder = try TemporaryFolder()
    let command = try prepare(folder) + endless + set("name=closed") + ["--listen", "127.0.0.1:0"]
    let daemon = DaemonProcess(command, serving: "checkpoints/closed", in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    let socket = try daemon.socket()
    let (origin, token) = (try daemon.origin(), try daemon.token())
    let path = folder.file("checkpoints/closed/control.token")
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect(attributes[.posixPermissions] as? Int == 0o600)

    // Every route there is, and one that there is not.
    let description = try JSONDecoder().decode(
      Description.self, from: Data(socket.get("/openapi.json").body.utf8))
    var routes = description.paths.flatMap { path, operations in
      operations.keys.map { (method: $0.uppercased(), path: path.replacingOccurrences(of: "{id}", with: "1")) }
    }
    #expect(routes.count >= 20)
    routes += [("GET", "/v1/nothing"), ("POST", "/v1/nothing")]
    let strangers = [
      Curl(origin, token: nil), Curl(origin, token: String(token.dropLast()) + (token.hasSuffix("0") ? "1" : "0")),
      Curl(origin, token: nil).with("Cookie: lockstep=\(token)"),
    ]
    var bodies: Set<String> = []
    for route in routes {
      for stranger in strangers {
        let reply = try stranger.send(route.method, route.path)
        #expect(reply.status == 401, "\(route.method) \(route.path): \(reply.head)")
        #expect(reply.head.lowercased().contains("www-authenticate: bearer"), "\(route.path): \(reply.head)")
        if route.path != "/login" && route.method != "HEAD" { bodies.insert(reply.body) }
      }
    }
    #expect(bodies.count == 1, "what is said tells one route from another: \(bodies)")

    // A page of another site has the token's holder's browser ask, and DNS say what it likes.
    let known = Curl(origin, token: token)
    #expect(try known.get("/openapi.json").body == socket.get("/openapi.json").body)
    #expect(try known.with("Origin: http://elsewhere.example").post("/v1/stop").status == 403)
    #expect(try known.with("Host: elsewhere.example").post("/v1/stop").status == 403)
    #expect(try known.with("Origin: \(origin)").get("/v1/status").status == 200)

    // None of the requests to stop, pause or save was heard.
    let status = try known.get("/v1/status").value(Status.self)
    #expect(status.activity != .paused)
    try daemon.waitForStep(try #require(status.run?.step) + 20, of: "closed")
    #expect(try known.post("/v1/stop").status == 202)
    #expect(try daemon.statusAtEnd() == 75)
  }

  /// Of an OpenAPI description, the operations.
  private struct Description: Decodable {
    struct Operation: Decodable {}
    let paths: [String: [String: Operation]]
  }
}
