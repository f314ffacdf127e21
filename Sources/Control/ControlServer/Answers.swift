import ControlAPI
import HTTPTypes
import Hummingbird
import NIOHTTP1

/// Makes every error one JSON value, and says what a browser must know of every answer.
struct Answers: RouterMiddleware {
  typealias Context = ControlContext

  let routes: [Route]
  let faults: Faults

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async -> Response {
    var response: Response
    do {
      response = try await next(request, context)
    } catch let error as HTTPError where error.status == .notFound {
      response = missing(request)
    } catch {
      let body = faults.body(of: error, in: "\(request.method) \(request.uri.path)")
      response = (Failure(rawValue: body.code) ?? .internal).response(body.message)
    }
    response.headers[.xContentTypeOptions] = "nosniff"
    if response.leavesBody(of: request) { response.headers[.connection] = "close" }
    return response
  }

  /// The router knows no difference between a path that is not there and one that has other methods.
  private func missing(_ request: Request) -> Response {
    let methods = routes.filter { $0.matches(request.uri.path) }.map(\.method.rawValue)
    if methods.isEmpty {
      return Failure.notFound.response("there is no '\(request.uri.path.prefix(80))'; /openapi.json lists what is")
    }
    var response = Failure.methodNotAllowed.response(
      "\(request.uri.path.prefix(80)) cannot be asked with \(request.method.rawValue.prefix(20)), only with "
        + methods.joined(separator: ", "))
    response.headers[.allow] = methods.joined(separator: ", ")
    return response
  }
}

extension Failure {
  func response(_ message: String) -> Response {
    // Two texts are always JSON.
    guard var response = try? Response.json(body(message), status: status) else { preconditionFailure(message) }
    if self == .busy { response.headers[.retryAfter] = "1" }
    return response
  }
}

extension Route {
  /// Whether a path, without a query, is this route's.
  func matches(_ path: String) -> Bool {
    let parts = path.split(separator: "/")
    let own = self.path.split(separator: "/")
    return parts.count == own.count && zip(parts, own).allSatisfy { $0 == $1 || $1.hasPrefix("{") }
  }
}

extension Response {
  /// Whether the request was answered before its body was read. What is left of it is then not worth waiting for.
  func leavesBody(of request: Request) -> Bool {
    let early: [Failure] = [.unauthorized, .forbidden, .notFound, .methodNotAllowed, .timeout, .tooLarge]
    return request.hasBody && early.contains { $0.status == status }
  }
}

/// What a client is told of an error.
struct Faults: Sendable {
  /// Told of what is a fault of the daemon, in a line: the client is not.
  let report: @Sendable (String) -> Void

  /// `place` is what was asked.
  func body(of error: any Error, in place: String) -> ErrorBody {
    switch error {
    case let error as ErrorBody where Failure(rawValue: error.code) != nil: return error
    case is HTTPParserError: return Failure.badRequest.body("the request's body is not formed as HTTP has it")
    case is CancellationError: return Failure.busy.body("the request was cancelled: the daemon is stopping")
    default:
      report("\(place): \(error)")
      return Failure.internal.body("a fault of the daemon")
    }
  }
}
