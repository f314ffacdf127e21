import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1

/// An answer, and the JSON that it came as.
public struct Answer<Value: Sendable>: Sendable {
  public let value: Value
  public let json: String
}

/// Asks a daemon: one method for each route of its API. Throws `ControlError`.
public final class ControlClient: Sendable {
  private let address: ControlAddress
  private let endpoint: ControlAddress.Endpoint
  private let transport: HTTPTransport

  /// For an answer to begin to what a daemon knows.
  private let patience: Duration
  /// For what it has to work for; it has limits of its own, and says so when they are met.
  private static let longPatience = Duration.seconds(24 * 3600)
  /// Bytes of an answer: the largest are curves.
  private static let largestAnswer = 64 << 20

  private init(_ address: ControlAddress, silence: Duration?, patience: Duration) throws {
    self.address = address
    self.patience = patience
    endpoint = try address.endpoint()
    transport = HTTPTransport(target: endpoint.target, silence: silence)
  }

  /// A client for as long as `body` takes. A daemon is lost that does not begin within `patience` to tell what it knows,
  /// also while it works for an answer, and with `silence` one that sends nothing for so long.
  public static func with<Result: Sendable>(
    _ address: ControlAddress, silence: Duration? = nil, patience: Duration = .seconds(10),
    _ body: (ControlClient) async throws -> Result
  ) async throws -> Result {
    try await body(ControlClient(address, silence: silence, patience: patience))
  }

  // MARK: - The routes

  public func status() async throws -> Answer<Status> { try await get("status") }
  public func configuration() async throws -> Answer<RunConfigurationText> { try await get("configuration") }

  public func curves(after step: Int = 0, points: Int = 2000) async throws -> Answer<CurveTables> {
    try await get("curves?after=\(step)&points=\(points)")
  }

  public func evaluate(_ request: EvaluationRequest) async throws -> Answer<EvaluationResult> {
    try await whileItAnswers { try await self.post("evaluate", request, patience: Self.longPatience) }
  }

  /// The whole text at once; `request.stream` is not looked at.
  public func generate(_ request: GenerationRequest) async throws -> Answer<GenerationResult> {
    var whole = request
    whole.stream = false
    return try await whileItAnswers { [whole] in
      try await self.post("generate", whole, patience: Self.longPatience)
    }
  }

  public func checkpoint() async throws -> Answer<CheckpointResult> {
    try await whileItAnswers { try await self.post("checkpoint", patience: Self.longPatience) }
  }

  public func pause() async throws -> Answer<Accepted> { try await post("pause") }
  public func resume() async throws -> Answer<Accepted> { try await post("resume") }
  public func stop() async throws -> Answer<Accepted> { try await post("stop") }
  public func view() async throws -> Answer<ViewLink> { try await post("view") }

  public func jobs() async throws -> Answer<JobList> { try await get("queue") }
  public func submit(_ submission: JobSubmission) async throws -> Answer<Job> { try await post("queue", submission) }
  public func job(_ id: Int) async throws -> Answer<Job> { try await get("queue/\(id)") }
  public func cancel(_ id: Int) async throws -> Answer<Job> { try await post("queue/\(id)/cancel") }
  public func pause(_ id: Int) async throws -> Answer<Job> { try await post("queue/\(id)/pause") }
  public func resume(_ id: Int) async throws -> Answer<Job> { try await post("queue/\(id)/resume") }

  public func move(_ id: Int, to position: Int) async throws -> Answer<Job> {
    try await post("queue/\(id)/move", JobMove(position: position))
  }

  // MARK: - The streams

  /// Gives `body` every event from now on, the first of which is a status, until the daemon ends the stream.
  public func follow(_ body: (StreamedEvent) async throws -> Void) async throws {
    try await stream(.GET, "events", nil, patience) { event in
      try await body(StreamedEvent(event, try Self.event(event)))
      return true
    }
  }

  /// Gives `body` each piece of text as it comes.
  public func generate(
    _ request: GenerationRequest, _ body: (String) async throws -> Void
  ) async throws -> GenerationEnd {
    var streamed = request
    streamed.stream = true
    let (events, arrivals) = AsyncStream<ServerSentEvent>.makeStream()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [streamed] in
        defer { arrivals.finish() }
        try await self.whileItAnswers {
          try await self.stream(.POST, "generate", streamed, Self.longPatience) { event in
            arrivals.yield(event)
            return event.name != "end"
          }
        }
      }
      defer { group.cancelAll() }
      for await event in events {
        switch event.name {
        case "token":
          let token: Token = try Self.decode(event.data)
          try await body(token.text)
        case "end": return try Self.decode(event.data)
        case "error": throw Self.refusal(try Self.decode(event.data))
        default: break
        }
      }
      try await group.waitForAll()
      try Task.checkCancellation()
      throw ControlError.wentAway(endpoint.name)
    }
  }

  private struct Token: Decodable { let text: String }

  private static func event(_ event: ServerSentEvent) throws -> Event? {
    switch event.name {
    case "status": .status(try decode(event.data))
    case "curves": .curves(try decode(event.data))
    case "evaluation": .evaluation(try decode(event.data))
    case "sample": .sample(try decode(event.data))
    case "job": .job(try decode(event.data))
    case "log": .log(try decode(event.data))
    default: nil
    }
  }

  /// Gives `body` the events of an answer until it has enough or the answer ends.
  private func stream(
    _ method: HTTPMethod, _ path: String, _ content: (any Encodable)?, _ patience: Duration,
    _ body: (ServerSentEvent) async throws -> Bool
  ) async throws {
    try await execute(method, path, content, patience) { answer in
      var parser = ServerSentEventParser()
      while let piece = try await answer.next() {
        for event in try parser.parse(piece.readableBytesView) where try await !body(event) { return }
      }
    }
  }

  // MARK: - Asking

  /// Waits for what a daemon works for, and meanwhile asks it how it stands: one that does not tell is lost.
  private func whileItAnswers<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
      group.addTask { try await body() }
      group.addTask {
        // Most answers are there before the first question.
        try await Task.sleep(for: self.patience / 10)
        while true {
          _ = try await self.status()
          try await Task.sleep(for: self.patience)
        }
      }
      defer { group.cancelAll() }
      for try await result in group { if let result { return result } }
      preconditionFailure("it is asked for ever")
    }
  }

  private func get<Value: Decodable>(_ path: String) async throws -> Answer<Value> {
    try await answer(.GET, path, nil, patience)
  }

  private func post<Value: Decodable>(
    _ path: String, _ content: (any Encodable)? = nil, patience: Duration? = nil
  ) async throws -> Answer<Value> {
    try await answer(.POST, path, content, patience ?? self.patience)
  }

  private func answer<Value: Decodable>(
    _ method: HTTPMethod, _ path: String, _ content: (any Encodable)?, _ patience: Duration
  ) async throws -> Answer<Value> {
    let json = try await execute(method, path, content, patience) { try await $0.text(upTo: Self.largestAnswer) }
    return Answer(value: try Self.decode(json), json: json)
  }

  /// Sends a request and gives `body` the answer; throws what the daemon refuses.
  private func execute<Result: Sendable>(
    _ method: HTTPMethod, _ path: String, _ content: (any Encodable)?, _ patience: Duration,
    _ body: (inout HTTPAnswer) async throws -> Result
  ) async throws -> Result {
    var request = HTTPTransport.Request(method: method, path: "/v1/\(path)", headers: HTTPHeaders(endpoint.headers))
    if let content {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.content = ByteBuffer(bytes: try JSONEncoder().encode(content))
    }
    do {
      return try await transport.send(request, patience: patience) { [request] answer in
        if (200..<300).contains(answer.status) { return try await body(&answer) }
        throw await refusal(of: request, &answer)
      }
    } catch let failure as HTTPTransport.Failure {
      throw explain(failure)
    }
  }

  /// What an answer that is no good one says.
  private func refusal(of request: HTTPTransport.Request, _ answer: inout HTTPAnswer) async -> ControlError {
    guard let text = try? await answer.text(upTo: Self.largestAnswer),
      let body = try? JSONDecoder().decode(ErrorBody.self, from: Data(text.utf8))
    else {
      return ControlError(
        .unexpected,
        "what answers at \(endpoint.name) is no daemon of Lockstep: it says \(answer.status) to "
          + "\(request.method.rawValue) \(request.path)")
    }
    return Self.refusal(body)
  }

  private static func refusal(_ body: ErrorBody) -> ControlError { ControlError(.refused(body), body.message) }

  private static func decode<Value: Decodable>(_ json: String) throws -> Value {
    do {
      return try JSONDecoder().decode(Value.self, from: Data(json.utf8))
    } catch {
      throw ControlError(
        .unexpected,
        "the daemon's answer is not understood; the daemon and this program may be of different versions: "
          + "\(json.prefix(200))")
    }
  }

  // MARK: - What goes wrong

  private func explain(_ failure: HTTPTransport.Failure) -> ControlError {
    switch failure {
    case .noConnection: ControlError(.unreachable, "nothing answers at \(endpoint.name): check the address")
    case .silence:
      ControlError(
        .lost,
        "the daemon at \(endpoint.name) does not answer in time: it may be stopped or hang, or the network between; "
          + "ask again, and look at its process if it says nothing then")
    case .ended: ControlError.wentAway(endpoint.name)
    case .system(let code, let reason): explain(code: code, reason)
    case .other(let error): ControlError(.unexpected, "cannot ask the daemon at \(endpoint.name): \(error)")
    }
  }

  private func explain(code: CInt, _ reason: String) -> ControlError {
    switch (address, code) {
    case (.folder(let folder), ECONNREFUSED):
      ControlError(
        .unreachable,
        "the daemon that had the folder \(folder) is gone: it left its socket, \(endpoint.name), behind, or runs on "
          + "another machine, where it must be asked. Start it again as it was, or one "
          + ControlAddress.howToStart(folder))
    case (.folder, EACCES), (.folder, EPERM):
      ControlError(
        .unreachable,
        "may not connect to \(endpoint.name): it lets in only the user who started the daemon")
    case (.tcp, ECONNREFUSED):
      ControlError(
        .unreachable,
        "no daemon listens at \(endpoint.name): check the port, and the tunnel if there is one (ssh -L)")
    case (_, ECONNRESET), (_, EPIPE):
      ControlError.wentAway(endpoint.name)
    default: ControlError(.unreachable, "cannot reach a daemon at \(endpoint.name): \(reason)")
    }
  }
}

/// An event as a daemon sent it.
public struct StreamedEvent: Equatable, Sendable {
  /// One line: its name as `event`, what it says as `data`.
  public let json: String
  /// Nil for one that this version does not know.
  public let event: Event?

  /// A job that was asked for, as if it had just changed.
  public init(_ job: Answer<Job>) { self.init(ServerSentEvent(name: "job", data: job.json), .job(job.value)) }

  init(_ event: ServerSentEvent, _ decoded: Event?) {
    // A name is a word, and in JSON a line end can only be white space.
    let name = event.name.filter { $0.isLetter || $0.isNumber || $0 == "-" }
    json = "{\"event\":\"\(name)\",\"data\":\(event.data.split(separator: "\n").joined(separator: " "))}"
    self.event = decoded
  }
}
