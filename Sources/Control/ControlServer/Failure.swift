import ControlAPI
import HTTPTypes

/// The errors a request can be answered with: `ErrorBody.code` and the status that goes with it.
enum Failure: String, CaseIterable {
  case badRequest = "bad-request"
  case unauthorized
  case forbidden
  case notFound = "not-found"
  case methodNotAllowed = "method-not-allowed"
  case timeout
  case conflict
  case tooLarge = "too-large"
  case unsupportedMediaType = "unsupported-media-type"
  case busy
  case `internal`

  var status: HTTPResponse.Status {
    switch self {
    case .badRequest: .badRequest
    case .unauthorized: .unauthorized
    case .forbidden: .forbidden
    case .notFound: .notFound
    case .methodNotAllowed: .methodNotAllowed
    case .timeout: .requestTimeout
    case .conflict: .conflict
    case .tooLarge: .contentTooLarge
    case .unsupportedMediaType: .unsupportedMediaType
    case .busy: .serviceUnavailable
    case .internal: .internalServerError
    }
  }

  /// For the API's description.
  var description: String {
    switch self {
    case .badRequest: "The request has a field, a value or a form that cannot be."
    case .unauthorized: "Over TCP: the token or the cookie is missing or wrong."
    case .forbidden: "Over TCP: the Host header names another host, or the request comes from another site's page."
    case .notFound: "There is no such thing."
    case .methodNotAllowed: "The path has other methods: see the Allow header."
    case .timeout: "The request's body did not arrive in time."
    case .conflict: "It cannot be done as things stand."
    case .tooLarge: "The request's body is too large."
    case .unsupportedMediaType: "The request's body is not said to be application/json."
    case .busy: "Too many such requests are under way: try again after the seconds in Retry-After."
    case .internal: "A fault of the daemon."
    }
  }

  func body(_ message: String) -> ErrorBody { ErrorBody(code: rawValue, message: message) }
}
