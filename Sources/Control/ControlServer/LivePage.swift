import Files
import Foundation
import Hummingbird

/// The live page: one answer, with its script and style in it.
enum LivePage {
  static let response: Response = {
    var response = Response(
      status: .ok, headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: PageParts.joined)))
    response.headers[.contentSecurityPolicy] = policy
    return response
  }()

  /// Nothing from elsewhere, and no script but the page's own, known by their digests: what a model writes, or a job is
  /// called, is never run.
  static let policy: String = {
    let digests = scripts(in: PageParts.joined).map {
      "'sha256-\(Data(Digest.of(String($0))).base64EncodedString())'"
    }
    return """
      default-src 'none'; script-src \(digests.joined(separator: " ")); style-src 'unsafe-inline'; img-src data:; \
      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
      """
  }()

  /// What stands between the script tags of a page.
  static func scripts(in page: String) -> [Substring] {
    var scripts: [Substring] = []
    var rest = page[...]
    while let tag = rest.range(of: "<script", options: .caseInsensitive) {
      rest = rest[tag.upperBound...]
      guard let start = rest.firstIndex(of: ">"),
        let end = rest.range(of: "</script", options: .caseInsensitive)
      else { break }
      scripts.append(rest[rest.index(after: start)..<end.lowerBound])
      rest = rest[end.upperBound...]
    }
    return scripts
  }
}
