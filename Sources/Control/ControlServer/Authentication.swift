import ControlAPI
import Files
import Foundation
import HTTPTypes
import Hummingbird
import Synchronization

/// Authenticates requests over TCP: by the token, or by the cookie of a browser that opened a login link.
final class Authentication: Sendable {
  /// Another one for every folder and machine: a browser has one set of cookies for all ports of a host, and several
  /// daemons' pages may be open in it, each through a tunnel to this one's localhost.
  let cookieName: String
  /// For programs, in a file.
  let token = secret()
  /// For browsers. Not the token, which would be worth more: it lasts no longer than the server, and only opens it to
  /// requests that come from its own page.
  private let cookie = secret()
  private let codes = Mutex<[Code]>([])
  private let bounds: Bounds

  private struct Code {
    let digest: [UInt8]
    let expires: ContinuousClock.Instant
  }

  /// `folder` is the one that is served, by its absolute path.
  init(folder: String, bounds: Bounds) {
    var digest = Digest()
    digest.update("\(HostName.thisMachine):\(folder)")
    cookieName = "lockstep-\(digest.hex().prefix(8))"
    self.bounds = bounds
  }

  /// 32 random bytes, which the system makes fit for secrets, as hexadecimal digits.
  private static func secret() -> String {
    var system = SystemRandomNumberGenerator()
    return (0..<32).map { _ in String(format: "%02x", UInt8.random(in: 0...255, using: &system)) }.joined()
  }

  /// A code that lets one browser in, once, within `Bounds.linkTime`. The oldest goes when too many are out.
  func makeCode() -> String {
    let code = Self.secret()
    codes.withLock {
      let now = ContinuousClock.now
      $0.removeAll { $0.expires <= now }
      if $0.count >= bounds.links { $0.removeFirst() }
      $0.append(Code(digest: Digest.of(code), expires: now + bounds.linkTime))
    }
    return code
  }

  /// The cookie for a code that is good, which it then is no more.
  func redeem(_ code: String) -> Cookie? {
    let digest = Digest.of(code)
    let isGood = codes.withLock {
      let now = ContinuousClock.now
      let index = $0.firstIndex { Digest.areSame($0.digest, digest) && $0.expires > now }
      guard let index else { return false }
      $0.remove(at: index)
      return true
    }
    return isGood ? Cookie(name: cookieName, value: cookie, path: "/", httpOnly: true, sameSite: .strict) : nil
  }

  /// Whether a request carries the token or the cookie.
  func admits(_ request: Request) -> Bool {
    if let given = request.headers[.authorization] {
      let parts = given.split(separator: " ", maxSplits: 1)
      return parts.count == 2 && parts[0].lowercased() == "bearer" && Self.same(String(parts[1]), token)
    }
    return request.cookies[cookieName].map { Self.same($0.value, cookie) } ?? false
  }

  /// Compares digests, in a time that tells nothing of where they differ.
  private static func same(_ one: String, _ other: String) -> Bool {
    Digest.areSame(Digest.of(one), Digest.of(other))
  }
}

/// Over TCP, rejects unauthenticated requests before anything else is read, then cross-site requests.
struct AuthenticationMiddleware: RouterMiddleware {
  typealias Context = ControlContext

  let authentication: Authentication
  /// What needs neither token nor cookie, since it is where the cookie comes from.
  let openPath: String

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    if case .tcp(let address) = context.entrance {
      if request.uri.path != openPath, !authentication.admits(request) {
        return Self.refusal(asPage: request.headers[.accept]?.contains("text/html") == true)
      }
      try check(request, address: address)
      if request.uri.path == openPath { return try await next(request, context) }
    }
    context.letIn()
    return try await next(request, context)
  }

  /// The same for every path, whether there is such a thing or not.
  static func refusal(asPage: Bool) -> Response {
    var response =
      asPage
      ? .text(refusalPage, type: "text/html; charset=utf-8", status: .unauthorized)
      : Failure.unauthorized.response(
        "expected 'Authorization: Bearer TOKEN' with the token in the daemon's file control.token")
    response.headers[.wwwAuthenticate] = "Bearer"
    return response
  }

  private static let refusalPage = """
    <!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
    <title>Lockstep</title><style>:root { color-scheme: light dark; font: 1.1em system-ui; margin: 2em }</style>
    <p>This link has been used, is too old, or the daemon was started again.
    <p>Run <code>lockstep view</code> again for a new one.

    """

  /// A name that another site makes to point here (DNS rebinding) betrays itself by the Host header; a page of another
  /// site by the Origin header.
  private func check(_ request: Request, address: TCPAddress) throws {
    let authority = request.head.authority?.lowercased() ?? ""
    guard HostName(authority: authority).map({ $0.names(address) }) == true else {
      throw Failure.forbidden.body(
        "the Host header is '\(authority.prefix(80))'; expected localhost, 127.0.0.1 or the address listened at")
    }
    if let origin = request.headers[.origin]?.lowercased(),
      origin != "http://\(authority)", origin != "https://\(authority)"
    {
      throw Failure.forbidden.body("the request comes from a page of '\(origin.prefix(80))', not from this server's")
    }
  }
}
