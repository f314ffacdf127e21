import ControlAPI
import Foundation
import Testing

@testable import ControlServer

/// Over TCP nobody is answered who is not known, nor anyone led here by another site.
@Suite struct AccessTests {
  private func path(_ route: Route) -> String { route.path.replacing("{id}", with: "1") }

  @Test func noRouteAnswersWithoutTheToken() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let (token, cookie) = (try server.token(), try server.cookieName())
    let wrong: [[String: String]] = [
      [:], ["Authorization": "Bearer"], ["Authorization": "Bearer \(token.dropLast())"],
      ["Authorization": "Bearer \(token)0"], ["Authorization": "Basic \(token)"], ["Authorization": token],
      ["Authorization": "Bearer \(token.uppercased())x"], ["Cookie": "\(cookie)=\(token)"], ["Cookie": "\(cookie)="],
      ["Cookie": "\(cookie)=\(String(repeating: "0", count: 64))"], ["X-Token": token],
    ]
    let paths = server.routes.map { ($0.method.rawValue, path($0)) }
    #expect(paths.count >= 23)
    // What is not there, and other ways to say what is, are no different.
    let others = ["/v1/nothing", "//v1/status", "/v1/../v1/status", "/login/", "//login", "/login/../v1/status"]
    var said: Set<String> = []
    for (method, path) in paths + others.map({ ("GET", $0) }) + [("DELETE", "/v1/status"), ("POST", "/login/x")]
    where path != "/login" {
      for headers in wrong {
        let answer = try server.tcp(method, path, headers: headers)
        #expect(answer.status == 401 && answer.headers["www-authenticate"] == "Bearer", "\(method) \(path) \(headers)")
        said.insert(answer.body)
      }
    }
    #expect(said.count == 1 && said.first?.contains("control.token") == true)
    #expect(server.backend.state.withLock { $0.told } == [])
    // A person with a browser is told what to do, and no more.
    let page = try server.tcp("GET", "/v1/status", headers: ["Accept": "text/html"])
    #expect(page.status == 401 && page.body.contains("lockstep view"))
  }

  @Test func theTokenLetsIn() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let token = try server.token()
    #expect(token.count == 64)
    for headers in [["Authorization": "Bearer \(token)"], ["Authorization": "bearer \(token)"]] {
      #expect(try server.tcp("GET", "/v1/status", headers: headers).status == 200)
    }
    #expect(try TestServer().token() != token)
  }

  @Test func otherHostsAndSites() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    let authorization = ["Authorization": "Bearer \(try server.token())"]
    func status(_ headers: [String: String]) throws -> Int {
      try server.tcp("GET", "/v1/status", headers: authorization.merging(headers) { $1 }).status
    }
    for host in ["localhost", "LOCALHOST:9", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3", "[::1]:80", "[::1]"] {
      #expect(try status(["Host": host]) == 200, "\(host)")
    }
    for host in [
      "evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]",
      "::1", "localhost:x", "127.0.0.1:99999", "0.0.0.0", "localhost:1:2", "[::1", "@localhost", "",
    ] {
      #expect(try [403, 400].contains(status(["Host": host])), "\(host)")
    }
    #expect(try status(["Host": "localhost:1", "Origin": "http://localhost:1"]) == 200)
    for origin in ["http://evil.example", "null", "http://localhost:2", "http://localhost", "localhost:1", "http://"] {
      let headers = ["Host": "localhost:1", "Origin": origin].merging(authorization) { $1 }
      let answer = try server.tcp("POST", "/v1/stop", headers: headers)
      #expect(answer.status == 403, "\(origin): \(answer)")
      #expect(try answer.decoded(ErrorBody.self).code == "forbidden")
    }
    #expect(server.backend.state.withLock { $0.told } == [])
  }

  @Test func aListenerAtEveryAddress() throws {
    let listening = TCPAddress(host: "0.0.0.0", port: 80)
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, 255)
    let thisMachine = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    for host in ["10.1.2.3", "[fe80::1]:80", "localhost", thisMachine.lowercased()] {
      #expect(HostName(authority: host)?.names(listening) == true, "\(host)")
    }
    #expect(HostName(authority: "evil.example")?.names(listening) == false)
    #expect(HostName(authority: "node7:80")?.names(TCPAddress(host: "node7", port: 1)) == true)
  }

  @Test func aLinkOpensThePageOnce() throws {
    let server = try TestServer()
    #expect(server.server.address == nil)
    let link: ViewLink = try server.request("POST", "/v1/view").decoded()
    #expect(abs(link.expires - Date.now.timeIntervalSince1970 - 60) < 5)
    let url = try #require(URLComponents(string: link.url))
    #expect(url.host == "127.0.0.1" && url.port == server.port && url.path == "/login")
    let login = "/login?\(url.query ?? "")"

    let entered = try server.tcp("GET", login)
    #expect(entered.status == 303 && entered.headers["location"] == "/")
    let cookie = try #require(entered.headers["set-cookie"])
    let parts = Set(cookie.components(separatedBy: "; "))
    #expect(parts.isSuperset(of: ["HttpOnly", "SameSite=Strict", "Path=/"]) && parts.count == 4, "\(cookie)")
    let name = try server.cookieName()
    let value = try #require(parts.first { $0.hasPrefix("\(name)=") })
    #expect(value != "\(name)=\(try server.token())")

    // Used, wrong, none.
    for path in [login, "/login?code=\(String(repeating: "0", count: 64))", "/login?code=", "/login"] {
      let answer = try server.tcp("GET", path)
      #expect(answer.status == 401 && answer.body.contains("lockstep view"), "\(path)")
      #expect(answer.headers["set-cookie"] == nil)
    }
    // With the cookie, among others, the page and what it asks for.
    for (method, path) in [("GET", "/"), ("GET", "/v1/status"), ("POST", "/v1/checkpoint")] {
      #expect(try server.tcp(method, path, headers: ["Cookie": "a=b; \(value); c=d"]).status == 200)
    }
    #expect(try server.tcp("GET", "/", headers: ["Cookie": "\(value)0"]).status == 401)
    // But not for pages of other sites.
    for headers in [["Origin": "http://evil.example"], ["Host": "evil.example"]] {
      let answer = try server.tcp("POST", "/v1/checkpoint", headers: headers.merging(["Cookie": value]) { $1 })
      #expect(answer.status == 403)
    }
    // The next link leads to the same listener.
    let next: ViewLink = try server.request("POST", "/v1/view").decoded()
    #expect(URLComponents(string: next.url)?.port == url.port && next.url != link.url)
  }

  /// A browser gives the cookies of a host to all its ports, so one that has two daemons' pages open sends both.
  @Test func twoDaemonsInOneBrowser() throws {
    let servers = [try TestServer(), try TestServer()]
    let cookies = try servers.map { server in
      let link: ViewLink = try server.request("POST", "/v1/view").decoded()
      let query = try #require(URLComponents(string: link.url)?.query)
      return try #require(server.tcp("GET", "/login?\(query)").headers["set-cookie"]?.split(separator: ";").first)
    }
    #expect(Set(cookies.map { $0.prefix { $0 != "=" } }).count == 2, "one cookie would take the other's place")
    for server in servers {
      #expect(try server.tcp("GET", "/", headers: ["Cookie": cookies.joined(separator: "; ")]).status == 200)
    }
    // The same daemon, started again, has no more than its one.
    let names = (0..<2).map { _ in Authentication(folder: "/a", bounds: Bounds()).cookieName }
    #expect(names[0] == names[1])
  }

  @Test func oldCodesAndTooMany() throws {
    let server = try TestServer { $0.linkTime = .milliseconds(50) }
    let link: ViewLink = try server.request("POST", "/v1/view").decoded()
    usleep(60_000)
    let query = try #require(URLComponents(string: link.url)?.query)
    #expect(try server.tcp("GET", "/login?\(query)").status == 401)

    var bounds = Bounds()
    bounds.links = 3
    let authentication = Authentication(folder: "/", bounds: bounds)
    let codes = (0..<4).map { _ in authentication.makeCode() }
    #expect(codes.map { authentication.redeem($0) != nil } == [false, true, true, true])
  }

  /// `/login` is open, but not to be led to by another site.
  @Test func loginChecksTheHost() throws {
    let server = try TestServer(at: "127.0.0.1:0")
    #expect(try server.tcp("GET", "/login?code=1", headers: ["Host": "evil.example"]).status == 403)
  }
}
