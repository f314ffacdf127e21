import ArgumentParser
import ControlAPI
import ControlClient
import Files
import Foundation
import Runs

struct ViewCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "view",
    abstract: "Opens the daemon's live page in a browser.",
    discussion: """
      Prints an address that is good for one visit, within a minute, and opens it
      where there is a display. The page is on this machine only; on a cluster, run
      the line with `ssh -L` on your own computer first, and open the address there.

        lockstep view
        lockstep view --directory checkpoints/default --no-open
      """)

  @OptionGroup var options: AskOptions

  @Flag(inversion: .prefixedNo, help: "Open the address where there is a display.")
  var open = true

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    var url = ""
    try options.ask({ try await $0.view() }) { link in
      url = link.url
      let tunnel = Self.tunnel(to: link.url, environment).map { "\non your own computer, first: \($0)" } ?? ""
      return "\(link.url)\ngood for one visit, until \(Readable.clock(link.expires))\(tunnel)"
    }
    if open && options.format == .text { try Self.open(url, environment) }
  }

  /// The line that brings the page to the computer that this one is used from; nil where that is not by ssh.
  private static func tunnel(to url: String, _ environment: [String: String]) -> String? {
    // The client's address and port, then the server's.
    let ends = (environment["SSH_CONNECTION"] ?? "").split(separator: " ").map(String.init)
    guard ends.count == 4, let parts = URLComponents(string: url), let host = parts.host, let port = parts.port else {
      return nil
    }
    let login = (environment["USER"].map { "\($0)@" } ?? "") + ends[2]
    return "ssh -N -L \(port):\(host):\(port)\(ends[3] == "22" ? "" : " -p \(ends[3])") \(login)"
  }

  /// Leaves the address to the desktop, if there is one.
  private static func open(_ url: String, _ environment: [String: String]) throws {
    let hasDisplay = ["DISPLAY", "WAYLAND_DISPLAY"].contains { environment[$0]?.isEmpty == false }
    let folders = (environment["PATH"] ?? "").split(separator: ":")
    guard hasDisplay, let opener = folders.map({ "\($0)/xdg-open" }).first(where: FileSystem.exists) else { return }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: opener)
    process.arguments = [url]
    // Not waited for: it may last as long as the browser, whose chatter is not ours.
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
  }
}
