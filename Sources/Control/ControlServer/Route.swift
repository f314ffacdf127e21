import ControlAPI
import Files
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes

/// One thing that can be asked: where, with what, what comes back, and what does it. The router and the API's
/// description are made of the same values, so that they cannot differ.
struct Route: Sendable {
  let method: HTTPRequest.Method
  /// With `{id}` where a job's number stands.
  let path: String
  let summary: String
  var query: [QueryParameter] = []
  var body: Body?
  let answers: [Answer]
  /// What can go wrong here beside what can everywhere.
  var failures: [Failure] = []
  let respond: @Sendable (Arguments) async throws -> Response

  /// A whole number in the query, or a text where it has no range.
  struct QueryParameter: Sendable {
    let name: String
    let meaning: String
    var range: ClosedRange<Int>?
    /// When it is left out.
    var standard: Int?
  }

  struct Body: Sendable {
    let type: any Described.Type
    /// Bytes.
    let limit: Int
  }

  struct Answer: Sendable {
    let status: HTTPResponse.Status
    let meaning: String
    /// By media type.
    let content: [String: JSON]
  }

  /// Job numbers are those that every JSON reader can tell apart.
  static let ids = 1...(1 << 53) - 1
}

extension Route {
  /// A route whose answer is a value as JSON.
  static func get<Value: Described>(
    _ path: String, _ summary: String, query: [QueryParameter] = [], failures: [Failure] = [],
    _ respond: @escaping @Sendable (Arguments) throws -> Value
  ) -> Route {
    Route(
      method: .get, path: path, summary: summary, query: query, answers: [.json(Value.self)], failures: failures
    ) { try .json(respond($0)) }
  }

  static func post<Value: Described>(
    _ path: String, _ summary: String, status: HTTPResponse.Status = .ok, failures: [Failure] = [],
    _ respond: @escaping @Sendable (Arguments) async throws -> Value
  ) -> Route {
    Route(
      method: .post, path: path, summary: summary, answers: [.json(Value.self, status: status)], failures: failures
    ) { try await .json(respond($0), status: status) }
  }

  /// A route that is given a value as JSON in the body, of at most `limit` bytes.
  static func post<Given: Described, Value: Described>(
    _ path: String, _ summary: String, limit: Int, status: HTTPResponse.Status = .ok, failures: [Failure] = [],
    _ respond: @escaping @Sendable (Arguments, Given) async throws -> Value
  ) -> Route {
    Route(
      method: .post, path: path, summary: summary, body: Body(type: Given.self, limit: limit),
      answers: [.json(Value.self, status: status)], failures: failures
    ) { try await .json(respond($0, $0.body()), status: status) }
  }
}

extension Route.Answer {
  static func json<Value: Described>(_ type: Value.Type, status: HTTPResponse.Status = .ok) -> Self {
    Self(status: status, meaning: status.reasonPhrase, content: ["application/json": .reference(to: type)])
  }

  /// Text of another kind.
  static func text(_ mediaType: String, status: HTTPResponse.Status = .ok, _ meaning: String) -> Self {
    Self(status: status, meaning: meaning, content: [mediaType: .string])
  }

  /// OpenAPI 3.1 has no way to say what the events of a stream are: the answer's meaning does.
  static let eventStream: [String: JSON] = ["text/event-stream": [:]]
}

/// A request to a route.
struct Arguments: Sendable {
  let route: Route
  let request: Request
  let context: ControlContext
  let bounds: Bounds

  /// The number that stands for `{id}`.
  func id() throws -> Int {
    let text = context.parameters.get("id") ?? ""
    guard let id = Int(text), Route.ids.contains(id) else {
      throw ErrorBody.badRequest("'\(text.prefix(40))' is no number of a job: expected a whole number from 1")
    }
    return id
  }

  /// Throws for one that the route does not know, or that is there twice.
  func checkQuery() throws {
    let names = request.uri.queryParameters.map(\.key)
    for (index, name) in names.enumerated() {
      guard route.query.contains(where: { $0.name == name }) else {
        let known = route.query.isEmpty ? "there are none here" : route.query.map(\.name).joined(separator: ", ")
        throw ErrorBody.badRequest("unknown query parameter '\(name.prefix(40))'; known: \(known)")
      }
      if names[..<index].contains(name) { throw ErrorBody.badRequest("query parameter '\(name)' is there twice") }
    }
  }

  func text(_ name: String) -> String? { request.uri.queryParameters[name[...]].map(String.init) }

  func integer(_ name: String) throws -> Int {
    guard let parameter = route.query.first(where: { $0.name == name }), let range = parameter.range,
      let standard = parameter.standard
    else { preconditionFailure("\(route.path) has no number '\(name)' in its query") }
    guard let text = text(name) else { return standard }
    guard let number = Int(text), range.contains(number) else {
      throw ErrorBody.badRequest(
        "\(name): expected a whole number from \(range.lowerBound) to \(range.upperBound), found '\(text.prefix(40))'")
    }
    return number
  }

  /// The value in the body; one that is empty is read as `{}`. Throws `ErrorBody`.
  func body<Value: Described>() async throws -> Value {
    let bytes = try await wholeBody()
    if bytes.readableBytes > 0 { try checkMediaType() }
    let text = bytes.readableBytes > 0 ? Data(bytes.readableBytesView) : Data("{}".utf8)
    do {
      try StrictJSON.check(text, bytes: text.count, values: bounds.values)
      return try JSONDecoder().decode(Value.self, from: text)
    } catch let error as JSONFault {
      throw ErrorBody.badRequest("the body is not valid JSON: \(error)")
    } catch let error as DecodingError {
      throw ErrorBody.badRequest(error.message)
    }
  }

  /// Reads what came unasked, within the same bounds.
  func passOverBody() async throws { _ = try await wholeBody() }

  private func checkMediaType() throws {
    let type = request.headers[.contentType] ?? ""
    let essence = type.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
    if essence != "application/json" {
      throw Failure.unsupportedMediaType.body(
        "the body's Content-Type is '\(type.prefix(80))'; expected application/json")
    }
  }

  private func wholeBody() async throws -> ByteBuffer {
    let limit = route.body?.limit ?? bounds.body
    if let length = request.headers[.contentLength].flatMap(Int.init), length > limit { throw tooLarge(limit) }
    if !request.hasBody { return ByteBuffer() }
    // An error sent through the channel ends the wait for the next piece.
    let channel = context.channel
    let deadline = channel.eventLoop.scheduleTask(in: bounds.bodyTime) {
      channel.pipeline.fireErrorCaught(
        Failure.timeout.body("the body did not arrive within \(bounds.bodyTime.nanoseconds / 1_000_000_000) seconds"))
    }
    defer { deadline.cancel() }
    if request.expectsContinue {
      try await channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)))
    }
    do {
      return try await request.body.collect(upTo: limit)
    } catch is NIOTooManyBytesError {
      throw tooLarge(limit)
    }
  }

  private func tooLarge(_ limit: Int) -> ErrorBody {
    Failure.tooLarge.body("the body is larger than \(limit) bytes, the most that \(route.path) takes")
  }
}

extension Request {
  /// Whether one was announced.
  var hasBody: Bool {
    headers[.transferEncoding] != nil || headers[.contentLength].map { $0 != "0" } ?? false
  }

  /// Whether the client sends the body only when it is told to (RFC 9110, section 10.1.1), as curl does with large ones.
  var expectsContinue: Bool { headers[.expect]?.lowercased() == "100-continue" }
}

extension Response {
  /// Throws `EncodingError` for a number that is not finite.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    json(try ByteBuffer.json(value), status: status)
  }

  /// Of a value that has been encoded.
  static func json(_ text: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: text))
  }

  static func text(_ text: String, type: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: type, .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }
}

extension ByteBuffer {
  static func json(_ value: some Encodable) throws -> ByteBuffer {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return ByteBuffer(bytes: try encoder.encode(value))
  }
}

extension DecodingError {
  /// For people: which field, and what is wrong with it.
  var message: String {
    switch self {
    case .typeMismatch(let type, let context): "\(context.place)expected \(Self.name(of: type))"
    case .valueNotFound(let type, let context): "\(context.place)expected \(Self.name(of: type)), found null"
    case .keyNotFound(let key, _): "'\(key.stringValue)' is missing"
    case .dataCorrupted(let context) where context.debugDescription.hasPrefix("The given data"):
      "the body is not JSON in UTF-8"
    case .dataCorrupted(let context): "\(context.place)\(context.debugDescription)"
    @unknown default: "the body cannot be read"
    }
  }

  private static func name(of type: Any.Type) -> String {
    switch type {
    case is String.Type: "a text"
    case is Bool.Type: "true or false"
    case is Double.Type: "a number"
    case is Int.Type, is UInt64.Type: "a whole number"
    case is [Any].Type: "a list"
    default: "a JSON object"
    }
  }
}

extension DecodingError.Context {
  fileprivate var place: String {
    codingPath.isEmpty ? "the body: " : codingPath.map(\.stringValue).joined(separator: ".") + ": "
  }
}
