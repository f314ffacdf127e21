import ControlAPI
import HTTPTypes
import Hummingbird
import NIOCore

/// Everything that can be asked.
struct Routes: Sendable {
  let backend: any ControlBackend
  let bounds: Bounds
  let authentication: Authentication
  let events: EventHub

  let faults: Faults
  let views: Views
  let generations: ConcurrencyLimit
  private let evaluations: ConcurrencyLimit
  private let status: StatusCache

  static let loginPath = "/login"

  init(
    backend: any ControlBackend, bounds: Bounds, authentication: Authentication, events: EventHub, faults: Faults,
    views: Views
  ) {
    self.backend = backend
    self.bounds = bounds
    self.authentication = authentication
    self.events = events
    self.faults = faults
    self.views = views
    generations = ConcurrencyLimit(bounds.generations, of: "generations")
    evaluations = ConcurrencyLimit(bounds.evaluations, of: "evaluations")
    status = StatusCache(backend)
  }

  var table: [Route] { known + asked + queue + browsing + describing }

  /// What answers requests: first whether they may ask, then what they ask for.
  func router() -> Router<ControlContext> {
    let table = table
    let router = Router(context: ControlContext.self)
    router.add(middleware: Answers(routes: table, faults: faults))
    router.add(middleware: AuthenticationMiddleware(authentication: authentication, openPath: Self.loginPath))
    for route in table {
      router.on(RouterPath(route.path), method: route.method) { [bounds, status] request, context in
        defer { if route.method != .get { status.clear() } }
        let arguments = Arguments(route: route, request: request, context: context, bounds: bounds)
        try arguments.checkQuery()
        if route.body == nil { try await arguments.passOverBody() }
        return try await route.respond(arguments)
      }
    }
    return router
  }

  // MARK: What is known

  private var known: [Route] {
    [
      Route(
        method: .get, path: "/v1/status", summary: "How daemon and run stand, as of a tenth of a second ago at most.",
        answers: [.json(Status.self)]
      ) { [status] _ in try .json(status.text()) },
      .get(
        "/v1/curves", "How the run has gone.",
        query: [
          .init(name: "after", meaning: "Only rows after this step.", range: 0...Route.ids.upperBound, standard: 0),
          .init(
            name: "points", meaning: "Rows of each table at most; more are thinned evenly.", range: 2...20_000,
            standard: 2000),
        ], failures: [.conflict]
      ) { try backend.curves(after: $0.integer("after"), points: $0.integer("points")) },
      .get("/v1/samples", "Texts that the model wrote, the newest last.") { _ in backend.samples() },
      .get("/v1/configuration", "The run's configuration, every key given.", failures: [.conflict]) { _ in
        try backend.configuration()
      },
      Route(
        method: .get, path: "/v1/events", summary: "What happens, as it happens.",
        answers: [
          .init(
            status: .ok,
            meaning: "Server-sent events: `status` (the first one), `curves`, `evaluation`, `sample`, `job` and `log`. "
              + "Their data are the JSON of Status, CurveTables, EvaluationResult, SampleText, Job and LogLine.",
            content: Route.Answer.eventStream)
        ], failures: [.busy]
      ) { try events.follow($0.context, backend: backend) },
    ]
  }

  // MARK: What the training loop is asked and told

  private var asked: [Route] {
    [
      .post(
        "/v1/evaluate", "Evaluates the current model.", limit: bounds.body, failures: [.conflict, .busy]
      ) { (_, request: EvaluationRequest) in
        let place = try evaluations.take()
        defer { withExtendedLifetime(place) {} }
        return try await backend.evaluate(request)
      },
      Route(
        method: .post, path: "/v1/generate", summary: "Writes text with the current model.",
        body: .init(type: GenerationRequest.self, limit: bounds.body),
        answers: [
          .init(
            status: .ok,
            meaning: "The text, or with `stream` server-sent events: `token`, with data {\"text\": \"…\"}, and at "
              + "last `end`, with the JSON of GenerationEnd, or `error`, with that of ErrorBody.",
            content: Route.Answer.eventStream.merging(
              ["application/json": .reference(to: GenerationResult.self)]) { $1 })
        ], failures: [.conflict, .busy], respond: generate),
      .post("/v1/checkpoint", "Saves a checkpoint now.", failures: [.conflict, .busy]) { _ in
        try await backend.checkpoint()
      },
      .post("/v1/pause", "Pauses the run.", status: .accepted, failures: [.conflict]) { _ in try backend.pause() },
      .post("/v1/resume", "Resumes a paused run.", status: .accepted, failures: [.conflict]) { _ in
        try backend.resume()
      },
      .post(
        "/v1/stop", "Saves a checkpoint and stops the run; of a queue, its job is paused.", status: .accepted,
        failures: [.conflict]
      ) { _ in
        try backend.stop()
      },
    ]
  }

  // MARK: The queue

  private var queue: [Route] {
    let failures: [Failure] = [.notFound, .conflict]
    return [
      .get("/v1/queue", "The runs in the queue, in the order in which they will run.", failures: [.conflict]) { _ in
        try backend.jobs()
      },
      .post(
        "/v1/queue", "Puts a run into the queue.", limit: bounds.submission, status: .created, failures: [.conflict]
      ) { (_, submission: JobSubmission) in
        try submission.validate()
        return try await backend.submit(submission)
      },
      .get("/v1/queue/{id}", "A run in the queue.", failures: failures) { try backend.job($0.id()) },
      .post("/v1/queue/{id}/cancel", "Takes a run out, or ends it if it runs.", failures: failures) {
        try backend.cancel($0.id())
      },
      .post("/v1/queue/{id}/pause", "Lets a run wait until it is resumed.", failures: failures) {
        try backend.pause($0.id())
      },
      .post("/v1/queue/{id}/resume", "Resumes a paused run.", failures: failures) { try backend.resume($0.id()) },
      .post("/v1/queue/{id}/move", "Moves a run that waits.", limit: bounds.body, failures: failures) {
        (arguments, move: JobMove) in
        try move.validate()
        return try backend.move(arguments.id(), move)
      },
    ]
  }

  // MARK: The live page

  private var browsing: [Route] {
    [
      .post("/v1/view", "A link to the live page that opens it once, soon.") { _ in try await views.makeLink() },
      Route(
        method: .get, path: Self.loginPath, summary: "Lets a browser in that comes by a link of /v1/view.",
        query: [.init(name: "code", meaning: "The link's.")],
        answers: [
          .init(status: .seeOther, meaning: "To the page, with the cookie that lets a browser in.", content: [:]),
          .text("text/html", status: .unauthorized, "The code is wrong, used or too old."),
        ], respond: login),
      Route(
        method: .get, path: "/", summary: "The live page.", answers: [.text("text/html", "A page that needs no other.")]
      ) { _ in LivePage.response },
    ]
  }

  @Sendable private func login(_ arguments: Arguments) -> Response {
    guard let cookie = authentication.redeem(arguments.text("code") ?? "") else {
      return AuthenticationMiddleware.refusal(asPage: true)
    }
    var response = Response(status: .seeOther, headers: [.location: "/", .cacheControl: "no-store"])
    response.setCookie(cookie)
    return response
  }

  // MARK: For programs that watch and programs that ask

  private var describing: [Route] {
    [
      Route(
        method: .get, path: "/metrics", summary: "How daemon and run stand, for Prometheus.",
        answers: [.text("text/plain", "Prometheus text format, version 0.0.4.")]
      ) { _ in .text(PrometheusText.text(backend.status()), type: "text/plain; version=0.0.4; charset=utf-8") },
      Route(
        method: .get, path: "/openapi.json", summary: "This description.",
        answers: [.init(status: .ok, meaning: "OpenAPI 3.1.", content: ["application/json": ["type": "object"]])]
      ) { _ in try .json(OpenAPI.document(table, cookieName: authentication.cookieName)) },
    ]
  }
}
