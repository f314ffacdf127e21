import Foundation
import Glibc
import Hosts
import Runs

/// This machine and its clock, and real hosts and ranks.
public final class LaunchSite: LaunchStage {
  private let probe: HostProbe
  /// What rank 0 reads on standard input.
  private let input: [UInt8]
  private let requests: StopRequests
  private let folder: String
  private let begin = ContinuousClock.now
  private let tell: (String) -> Void

  /// Throws `LaunchError` where no folder for hostfiles can be made.
  public init(
    probe: HostProbe, input: String, requests: StopRequests, tell: @escaping (String) -> Void
  ) throws {
    self.probe = probe
    self.input = Array(input.utf8)
    self.requests = requests
    self.tell = tell
    var template = Array("\(FileManager.default.temporaryDirectory.path)/lockstep-launch-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw LaunchError(
        "cannot make a folder for hostfiles: \(String(cString: strerror(errno))); set TMPDIR to another")
    }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  public var now: Double { (ContinuousClock.now - begin) / .seconds(1) }

  public func sleep(_ seconds: Double) { usleep(UInt32(max(0, seconds) * 1e6)) }

  public func ask(_ hosts: [LaunchHost]) throws -> [Result<HostReport, HostFault>] {
    try probe.ask(hosts) { [requests] in requests.asked > 0 }
  }

  public func start(_ command: RankCommand, environment: [String: String]) throws -> any StartedRanks {
    let environment = command.environment(ProcessInfo.processInfo.environment.merging(environment) { $1 })
    let hostfile = try command.hostfileText.map(write)
    let input = try ScratchFile(input)
    defer { withExtendedLifetime(input) {} }
    let errors = try ErrorRelay()
    let process = try ChildProcess(
      command.arguments(hostfile: hostfile, environment: environment), environment: environment,
      input: input.descriptor, error: errors.writeEnd)
    return LaunchedRanks(process, errors: errors)
  }

  /// Prints what would be started: as one would type it, with the hostfile before it.
  public func show(_ command: RankCommand, print: (String) -> Void) throws {
    let given = ProcessInfo.processInfo.environment
    let environment = command.environment(given)
    let hostfile = command.hostfileText
    if let hostfile { print("# hosts\n\(hostfile)# command\n") }
    let added = environment.filter { given[$0.key] != $0.value }.map { "\($0.key)=\($0.value)" }.sorted()
    let arguments = command.arguments(hostfile: hostfile.map { _ in "hosts" }, environment: environment)
    print((added + arguments).map(Self.typed).joined(separator: " ") + "\n")
  }

  private static func typed(_ word: String) -> String {
    word.wholeMatch(of: #/[A-Za-z0-9_.,:=\/@%+-]+/#) != nil ? word : SecureShell.quoted(word)
  }

  private func write(_ text: String) throws -> String {
    let path = "\(folder)/hosts"
    do {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
    } catch {
      throw LaunchError("cannot write \(path): \(error.localizedDescription)")
    }
    return path
  }

  public func say(_ text: String) { tell(text) }
}
