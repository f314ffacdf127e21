import ControlAPI
import HTTPTypes

/// The API's description, made of the routes themselves.
enum OpenAPI {
  static func document(_ routes: [Route], cookieName: String) -> JSON {
    var paths: [String: [String: JSON]] = [:]
    for route in routes { paths[route.path, default: [:]][route.method.rawValue.lowercased()] = operation(route) }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "Lockstep", "version": "1",
        "description": "Watches and steers training: one run, or a queue of them.",
      ],
      "security": [["token": []], ["cookie": []]],
      "paths": .object(paths.mapValues { .object($0) }),
      "components": [
        "securitySchemes": [
          "token": ["type": "http", "scheme": "bearer", "description": "Over TCP. The Unix socket needs none."],
          "cookie": ["type": "apiKey", "in": "cookie", "name": .text(cookieName)],
        ],
        "schemas": .object(
          Dictionary(uniqueKeysWithValues: describedTypes.map { ("\($0)", schema(of: $0)) })),
        "responses": .object(
          Dictionary(uniqueKeysWithValues: Failure.allCases.map { ($0.rawValue, response(to: $0)) })),
      ],
    ]
  }

  private static func schema(of type: any Described.Type) -> JSON { type.schema }

  private static func operation(_ route: Route) -> JSON {
    var operation: [String: JSON] = [
      "summary": .text(route.summary), "parameters": .list(parameters(of: route)),
      "responses": .object(responses(of: route)),
    ]
    if route.path == Routes.loginPath { operation["security"] = [] }
    if let body = route.body {
      operation["requestBody"] = [
        "required": .flag(body.type.schema.hasRequiredFields),
        "description": .text("At most \(body.limit) bytes."),
        "content": ["application/json": ["schema": .reference(to: body.type)]],
      ]
    }
    return .object(operation)
  }

  private static func parameters(of route: Route) -> [JSON] {
    var parameters: [JSON] = route.query.map {
      var schema = $0.range.map { JSON.integer($0) } ?? .string
      if let standard = $0.standard { schema = schema.standard(.integer(standard)) }
      return ["name": .text($0.name), "in": "query", "description": .text($0.meaning), "schema": schema]
    }
    if route.hasID {
      parameters.append([
        "name": "id", "in": "path", "required": true, "description": "The job's number.",
        "schema": .integer(Route.ids),
      ])
    }
    return parameters
  }

  private static func responses(of route: Route) -> [String: JSON] {
    var responses: [String: JSON] = [:]
    for failure in route.allFailures {
      responses["\(failure.status.code)"] = ["$ref": .text("#/components/responses/\(failure.rawValue)")]
    }
    for answer in route.answers {
      responses["\(answer.status.code)"] = [
        "description": .text(answer.meaning), "content": .object(answer.content.mapValues { ["schema": $0] }),
      ]
    }
    return responses
  }

  private static func response(to failure: Failure) -> JSON {
    var content: [String: JSON] = ["application/json": ["schema": .reference(to: ErrorBody.self)]]
    // For browsers.
    if failure == .unauthorized { content["text/html"] = ["schema": .string] }
    return ["description": .text(failure.description), "content": .object(content)]
  }
}

extension Route {
  var hasID: Bool { path.contains("{id}") }

  /// Everything that can go wrong with it.
  var allFailures: [Failure] {
    let everywhere: [Failure] = [.badRequest, .unauthorized, .forbidden, .timeout, .tooLarge, .internal]
    return everywhere + failures + (body == nil ? [] : [.unsupportedMediaType])
  }
}

extension JSON {
  fileprivate var hasRequiredFields: Bool {
    guard case .object(let fields) = self, case .list(let required) = fields["required"] else { return false }
    return !required.isEmpty
  }
}
