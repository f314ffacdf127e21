import ControlAPI
import Files
import Foundation
import Synchronization
import TestSupport
import Testing

/// The live page of daemons that train, looked at with a browser: Tests/ControlServerTests/page_test.py says how.
@Suite(.serialized) struct PageTests {
  /// Enough of the default run for some minutes, with a sample now and then.
  private let settings = set("corpus.sampleLines=20000", "training.epochs=1000", "coordinator.generate=[50 steps]")
  private let configuration = "\(Programs.repository)/configs/default.yaml"

  @Test func aRun() throws {
    let folder = try TemporaryFolder()
    let command = ["run", configuration] + settings + set("name=seen") + ["--listen", "127.0.0.1:\(try freePort())"]
    let daemon = DaemonProcess(command, serving: "checkpoints/seen", in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    try look(at: daemon, serving: "checkpoints/seen", in: folder)
  }

  @Test func aQueue() throws {
    let folder = try TemporaryFolder()
    let daemon = DaemonProcess(["serve", "--listen", "127.0.0.1:\(try freePort())"], in: folder)
    defer { daemon.endByForce() }
    try daemon.start()
    try daemon.submit(configuration, settings.filter { $0 != "--set" } + ["name=seen"])
    try daemon.submit(configuration, ["name=later"])
    try look(at: daemon, serving: "checkpoints", in: folder)
  }

  /// Has a browser look at the page, and kills the daemon and starts it again when that wants it.
  private func look(at daemon: DaemonProcess, serving directory: String, in folder: TemporaryFolder) throws {
    for program in ["chromium", "python3"] { try Programs.need(program) }
    try daemon.waitForStep(10, of: "seen")
    let test = "\(Programs.repository)/Tests/ControlServerTests/page_test.py"
    let restart = "touch wanted; until [ -e again ]; do sleep 0.1; done; cat again"
    let view = "'\(Programs.folder)/lockstep' view --no-open --directory \(directory)"
    let outcome = OutcomeBox()
    let arguments = [test, view, "--restart", restart, "--seconds", "500"]
    // Not of the few threads that tests share.
    Thread.detachNewThread { [folder = folder.path] in
      let result = Result { try Programs.run("python3", arguments, in: folder, seconds: 520) }
      outcome.value.withLock { $0 = result }
    }
    func ended() -> Result<Outcome, any Error>? { outcome.value.withLock { $0 } }
    try daemon.wait("the browser to have seen the page, up to the daemon's restart", seconds: 540) {
      FileSystem.exists(folder.file("wanted")) || ended() != nil ? true : nil
    }
    if ended() == nil {
      try daemon.kill(.allRanks)
      try daemon.start()
      try folder.write("link", link(directory, in: folder))
      // Not to be read before it is whole.
      try FileSystem.rename(folder.file("link"), to: folder.file("again"))
    }
    let end = try daemon.wait("the browser's end", seconds: 540, until: ended).get()
    #expect(end.status == 0, "\(end.output)\(end.error)\n\(daemon.log)")
    #expect(end.output.contains("comes back after a restart"), "\(end.output)")
  }

  private final class OutcomeBox: Sendable {
    let value = Mutex<Result<Outcome, any Error>?>(nil)
  }

  /// A link for one visit.
  private func link(_ directory: String, in folder: TemporaryFolder) throws -> String {
    let outcome = try Programs.lockstep("view", "--no-open", "--directory", directory, in: folder.path)
    return try #require(outcome.lines.first, "\(outcome.error)")
  }

  /// A port that nobody listens at now, for a daemon that is to be found again after its restart.
  private func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
      }
    }
    try #require(status == 0)
    return Int(UInt16(bigEndian: address.sin_port))
  }
}

extension Programs {
  /// That a program which only tests use is on PATH.
  static func need(_ program: String) throws {
    let found = try run("sh", ["-c", "command -v \"$0\"", program], in: "/").status == 0
    try #require(found, "expected \(program) on PATH and found none; on Debian, launch/setup --tests installs it")
  }
}
