/// A host that ranks may be started on.
public struct LaunchHost: Equatable, Sendable {
  /// As ssh knows it: a name or an IPv4 address, with a user before it as in `me@node1` where that is another one there.
  public var name: String
  /// Where ssh is to be reached; nil: where it is by itself, or as ~/.ssh/config says.
  public var port: Int?
  /// The ranks it may have; nil: one for each of its cores.
  public var slots: Int?
  /// Where that is said, for messages.
  public var place: String

  public init(name: String, port: Int? = nil, slots: Int? = nil, place: String) {
    self.name = name
    self.port = port
    self.slots = slots
    self.place = place
  }

  /// The name without a user.
  var address: Substring { name.split(separator: "@").last ?? "" }
  var user: Substring? { name.contains("@") ? name.split(separator: "@").first : nil }
  /// What `ssh` is given to get there.
  var destination: String { (port.map { "-p \($0) " } ?? "") + name }
}

/// A hostfile in Open MPI's format: a host a line, as in `me@node1 slots=4 max_slots=8 port=2222  # a comment`. What Open
/// MPI would not hand on to ssh is refused, since a host is asked in the way its ranks are started.
public enum Hostfile {
  /// The hosts in order; one that is named again gets more slots. Throws `HostfileError` with all mistakes there are.
  public static func parse(_ text: String, name file: String) throws -> [LaunchHost] {
    var (hosts, mistakes): ([LaunchHost], [String]) = ([], [])
    // Editors of Windows put a mark before all text.
    let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let place = "\(file):\(number + 1)"
      do throws(LineError) {
        guard let host = try parse(line: String(line), place: place) else { continue }
        if let index = hosts.firstIndex(where: { $0.address == host.address }) {
          let known = hosts[index]
          guard (known.name, known.port) == (host.name, host.port) else {
            throw LineError(
              problem: "\(host.address) has another user or port than at \(known.place), which mpirun does not tell "
                + "apart; give each a name of its own in ~/.ssh/config")
          }
          hosts[index].slots = (hosts[index].slots ?? 1) + (host.slots ?? 1)
        } else {
          hosts.append(host)
        }
      } catch {
        mistakes.append("\(place): \(error.problem)")
      }
    }
    if hosts.isEmpty, mistakes.isEmpty {
      mistakes = ["\(file): expected a host a line, as in 'node1 slots=4', found none"]
    }
    if !mistakes.isEmpty { throw HostfileError(mistakes: mistakes) }
    return hosts
  }

  private struct LineError: Error { let problem: String }

  private static func parse(line: String, place: String) throws(LineError) -> LaunchHost? {
    let line = line.prefix { $0 != "#" }.replacing(#/\s*=\s*/#, with: "=")
    let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
    guard var name = words.first else { return nil }
    guard name.wholeMatch(of: #/([A-Za-z0-9_.-]+@)?[A-Za-z0-9_][A-Za-z0-9_.-]*/#) != nil else {
      throw LineError(
        problem: "expected a host's name first, as in 'node1 slots=4', found '\(name)'\(remedy(for: name))")
    }
    var (slots, most, port): (Int?, Int?, Int?) = (nil, nil, nil)
    for word in words.dropFirst() {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else {
        throw LineError(problem: "expected slots=… or max_slots=… behind \(name), found '\(word)'")
      }
      let (key, value) = (parts[0], parts[1])
      switch key {
      case "slots", "cpus", "count": slots = try ranks(value, key, name)
      case "max_slots", "max-slots": most = try ranks(value, key, name)
      case "port":
        guard let number = Int(value), (1...65535).contains(number) else {
          throw LineError(problem: "port of \(name) is '\(value)'; expected that of its ssh server, 1 to 65535")
        }
        port = number
      case "username":
        guard value.wholeMatch(of: #/[A-Za-z0-9_.-]+/#) != nil, !name.contains("@") else {
          throw LineError(problem: "username of \(name) is '\(value)'; expected one user, as in 'me@node1'")
        }
        name = "\(value)@\(name)"
      default: throw LineError(problem: "expected slots=… or max_slots=… behind \(name), found '\(word)'")
      }
    }
    if let slots, let most, slots > most {
      throw LineError(problem: "\(name) has slots=\(slots) and max_slots=\(most); expected no more slots than that")
    }
    return LaunchHost(name: name, port: port, slots: slots ?? most, place: place)
  }

  private static func ranks(_ value: String, _ key: String, _ name: String) throws(LineError) -> Int {
    guard let number = Int(value), (1...1_000_000).contains(number) else {
      throw LineError(problem: "\(key) of \(name) is '\(value)'; expected a number of ranks, such as 4")
    }
    return number
  }

  /// What to write where a line does not begin with a name that ssh and mpirun both take.
  private static func remedy(for word: String) -> String {
    if let match = word.wholeMatch(of: #/([^:\[\]]+):(\d+)/#) {
      return "; write '\(match.1) port=\(match.2)' for a port of ssh, or '\(match.1) slots=\(match.2)' for ranks"
    }
    let address = word.split(separator: "@").last ?? ""
    if let match = address.wholeMatch(of: #/\[?([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[^\]]*)\]?(?::(\d+))?/#) {
      let port = match.2.map { ", Port \($0)" } ?? ""
      return "; mpirun takes no IPv6 addresses: name it in ~/.ssh/config (Host node1, HostName \(match.1)\(port)), and "
        + "write that name here"
    }
    if word.contains("@") { return "; name the host and its user in ~/.ssh/config (Host, HostName, User)" }
    return ""
  }
}

/// A hostfile with mistakes, each with its line.
public struct HostfileError: Error, Equatable, CustomStringConvertible {
  public let mistakes: [String]
  public init(mistakes: [String]) { self.mistakes = mistakes }
  public var description: String { mistakes.joined(separator: "\n") }
}
