import Foundation

/// Commands on other hosts, and what ssh's messages mean.
enum SecureShell {
  static let connectSeconds = 10

  /// ssh, or what Open MPI was told to use in its place, so that a host is asked in the way its ranks are started.
  static func command(
    _ host: LaunchHost, _ script: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> [String] {
    let agents = ["OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent"].compactMap { environment[$0] }
    let agent = agents.first { $0 != "false" && !$0.contains(":") }?.split(separator: " ").map(String.init) ?? ["ssh"]
    let options =
      agent[0].hasSuffix("ssh")
      ? [
        "-x", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=\(connectSeconds)", "-o", "ServerAliveInterval=5",
        "-o",
        "ServerAliveCountMax=3",
      ] : []
    // For whatever shell they have there.
    let port = host.port.map { ["-p", "\($0)"] } ?? []
    return agent + options + port + [host.name, "exec sh -c \(quoted(script))"]
  }

  static func quoted(_ text: String) -> String { "'\(text.replacing("'", with: #"'\''"#))'" }

  /// What a failure of ssh itself (status 255) means.
  static func fault(_ host: LaunchHost, error: String) -> HostFault {
    func fault(_ expected: String, _ found: String, _ remedy: String) -> HostFault {
      HostFault(host.name, expected: expected, found: found, remedy: remedy)
    }
    let has = { (text: String) in error.contains(text) }
    // As ~/.ssh/known_hosts has it.
    let known = host.port.map { "[\(host.address)]:\($0)" } ?? "\(host.address)"
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("Host key for") {
      return fault(
        "the host key that is known of it", "another one",
        "if the host was reinstalled, remove the old key with 'ssh-keygen -R \(known)', then look at it once with 'ssh \(host.destination)'; "
          + "if not, another machine has its name")
    }
    if has("Host key verification failed") || has("host key is known for") {
      return fault(
        "a host key that is known", "none", "log in there once with 'ssh \(host.destination)', and accept the key")
    }
    if has("Permission denied") || has("Too many authentication failures") {
      return fault(
        "ssh to let you in without being asked", "\"\(lastLine(error))\"",
        "put your key there with 'ssh-copy-id \(host.destination)'")
    }
    if has("Could not resolve hostname") || has("Name or service not known") {
      return fault(
        "a host of that name", "none", "correct the hostfile, or name its address in /etc/hosts or ~/.ssh/config")
    }
    if has("Connection refused") {
      return fault("a server of ssh", "none (connection refused)", "start sshd there, or leave the host out")
    }
    let silences = ["timed out", "No route to host", "Network is unreachable", "not responding", "Host is down"]
    if let silence = silences.first(where: has) {
      return silent(host.name, "\(silence.lowercased())")
    }
    return fault("ssh to run a command", "\"\(lastLine(error))\"", "try 'ssh \(host.destination) true'")
  }

  /// A host that does not answer.
  static func silent(_ host: String, _ how: String) -> HostFault {
    HostFault(
      host, expected: "an answer within \(connectSeconds) seconds", found: "none (\(how))",
      remedy: "see that it is up and can be reached, or leave it out of the hostfile")
  }

  /// The last line that says something.
  static func lastLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.last { !$0.isEmpty }
      ?? "no message"
  }
}
