/// The files of the live page, and how they become one: the page is sent whole, so that it needs no second request.
enum PageParts {
  /// The shell, in which a line `{{name}}` stands for a file.
  static let joined: String = {
    let lines = text(PackageResources.shell_html).split(separator: "\n", omittingEmptySubsequences: false)
    return lines.map { line in
      guard line.hasPrefix("{{"), line.hasSuffix("}}") else { return String(line) }
      let name = String(line.dropFirst(2).dropLast(2))
      guard let part = parts[name] else { preconditionFailure("the page has no part \(name)") }
      // Its last line end is the one of the line that stands for it.
      return String(text(part).dropLast())
    }
    .joined(separator: "\n")
  }()

  private static let parts: [String: [UInt8]] = [
    "style.css": PackageResources.style_css,
    // What all views use.
    "elements.js": PackageResources.elements_js,
    "server.js": PackageResources.server_js,
    "curves.js": PackageResources.curves_js,
    "scales.js": PackageResources.scales_js,
    "charts.js": PackageResources.charts_js,
    // The views.
    "metrics.js": PackageResources.metrics_js,
    "run.js": PackageResources.run_js,
    "ranks.js": PackageResources.ranks_js,
    "samples.js": PackageResources.samples_js,
    "messages.js": PackageResources.messages_js,
    "buttons.js": PackageResources.buttons_js,
    "generation.js": PackageResources.generation_js,
    "queue.js": PackageResources.queue_js,
    // What moves them.
    "following.js": PackageResources.following_js,
    "start.js": PackageResources.start_js,
  ]

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
