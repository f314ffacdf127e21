/// What every error is answered with.
public struct ErrorBody: Codable, Equatable, Sendable, Error {
  /// For programs: `bad-request`, `unauthorized`, `forbidden`, `not-found`, `method-not-allowed`, `timeout`,
  /// `conflict`, `too-large`, `unsupported-media-type`, `busy`, `internal`.
  public var code: String
  /// For people: what was expected, what was found, what to do.
  public var message: String

  public init(code: String, message: String) {
    self.code = code
    self.message = message
  }

  /// The request cannot be meant so: 400.
  public static func badRequest(_ message: String) -> Self { Self(code: "bad-request", message: message) }
  /// There is no such thing: 404.
  public static func notFound(_ message: String) -> Self { Self(code: "not-found", message: message) }
  /// It cannot be done as things stand: 409.
  public static func conflict(_ message: String) -> Self { Self(code: "conflict", message: message) }
  /// Too much is being done already, the same request may do later: 503.
  public static func busy(_ message: String) -> Self { Self(code: "busy", message: message) }
}
