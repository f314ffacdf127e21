import Foundation
import Glibc
import Hosts
import Runs

/// Asks hosts what they have.
public struct HostProbe {
  /// lockstepd, at the same path on every host.
  public let program: String
  public let mpirun: MPILauncher
  /// The configuration of the run, as YAML; nil where there is none yet, as for a queue.
  public let configuration: String?
  /// For a checkpoint of gigabytes, which is verified.
  private static let seconds = 120.0

  public init(program: String, mpirun: MPILauncher, configuration: String?) {
    self.program = program
    self.mpirun = mpirun
    self.configuration = configuration
  }

  /// All hosts at once; each gives a report or a fault. Throws `LaunchError` where this machine cannot ask.
  public func ask(_ hosts: [LaunchHost], isUnwanted: () -> Bool = { false }) throws -> [Result<HostReport, HostFault>] {
    let results = try CommandRunner.run(
      hosts.map { LocalHost.isNamed($0.name) ? ["sh", "-c", script] : SecureShell.command($0, script) },
      input: Array((configuration ?? "").utf8), seconds: Self.seconds, isUnwanted: isUnwanted)
    return zip(hosts, results).map { host, result in
      Self.isTakenForLocal(host)
        ? .failure(
          HostFault(
            host.name, expected: "a host that ssh leads to, with its user or port", found: "this machine",
            remedy: "leave them out: mpirun starts ranks here without ssh, as you"))
        : Self.read(host, result, program: program)
    }
  }

  /// Whether mpirun would start ranks here and as this user, though the hostfile says another user or a port.
  private static func isTakenForLocal(_ host: LaunchHost) -> Bool {
    (host.port != nil || host.user.map { $0 != NSUserName() } == true) && LocalHost.isNamed(String(host.address))
  }

  /// In the folder that ranks will be started in, and with libraries where they will look for them.
  private var script: String {
    let folder = FileManager.default.currentDirectoryPath
    let own = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"]
    let libraries =
      SecureShell.quoted("\(mpirun.prefix)/lib" + (own.map { ":\($0)" } ?? ""))
      + (own == nil ? "\"${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"" : "")
    var command = [program, "check", "--format", "json"]
    if mpirun.kind == .mpirun { command += ["--mpirun", mpirun.path] }
    if configuration != nil { command.append("-") }
    return "cd \(SecureShell.quoted(folder)) 2>/dev/null; LD_LIBRARY_PATH=\(libraries) exec "
      + command.map(SecureShell.quoted).joined(separator: " ")
  }

  /// What the answer of a host means. Shells may say something of their own before the report.
  static func read(
    _ host: LaunchHost, _ result: CommandRunner.Result, program: String
  ) -> Result<HostReport, HostFault> {
    guard let status = result.status else {
      return .failure(
        HostFault(
          host.name, expected: "a report within \(Int(seconds)) seconds", found: "nothing yet",
          remedy: "see whether its disk is slow or a checkpoint very large: try '\(program) check' there"))
    }
    let line = result.output.split(separator: "\n").last { $0.hasPrefix("{") }
    if status == 0, let line, let report = try? JSONDecoder().decode(HostReport.self, from: Data(line.utf8)) {
      return .success(report)
    }
    return .failure(fault(host, status, result, program))
  }

  private static func fault(
    _ host: LaunchHost, _ status: Int32, _ result: CommandRunner.Result, _ program: String
  ) -> HostFault {
    func fault(_ expected: String, _ found: String, _ remedy: String) -> HostFault {
      HostFault(host.name, expected: expected, found: found, remedy: remedy)
    }
    let said = SecureShell.lastLine(result.error)
    if let match = result.error.firstMatch(of: #/loading shared libraries: ([^:\s]+): ?([^\n]*)/#) {
      return fault(
        "the libraries of \(program)", "\(match.1): \(match.2)",
        "install it there, or set LD_LIBRARY_PATH; 'ldd \(program)' lists what is needed")
    }
    if result.error.contains("version `") {  // of a library's symbols
      return fault(
        "the libraries that \(program) was built with", "\"\(said)\"", "build it there, or on the oldest host")
    }
    switch status {
    case 255: return SecureShell.fault(host, error: result.error)
    case 127:
      return fault("the program at \(program)", "none", "copy it there: the path must be the same on all hosts")
    case 126: return fault("a program that can be run at \(program)", "\"\(said)\"", "copy it there again")
    case 0, 64:
      return fault(
        "lockstepd \(programVersion) at \(program)", "another version, which does not know 'check'",
        "copy the program there from this host")
    case 129...:
      return fault("\(program) to run", "it killed by signal \(status - 128)", "try '\(program) check' there")
    default: return fault("\(program) to run", "\"\(said)\"", "try '\(program) check' there")
    }
  }
}

/// Names of this machine.
enum LocalHost {
  /// Whether a name is this machine's, or leads to one of its addresses.
  static func isNamed(_ name: String) -> Bool {
    if name == "localhost" || name == HostReport.hostName { return true }
    if name.contains("@") { return false }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &found) == 0 else { return false }
    defer { freeaddrinfo(found) }
    return sequence(first: found, next: { $0?.pointee.ai_next }).contains { entry in
      guard let address = entry?.pointee else { return false }
      // Only an own address can be bound to.
      let descriptor = socket(address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
      defer { close(descriptor) }
      return descriptor >= 0 && bind(descriptor, address.ai_addr, address.ai_addrlen) == 0
    }
  }
}
