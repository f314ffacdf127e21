/// A host that ranks may be started on.
public struct LaunchHost: Equatable, Sendable {
  /// As ssh knows it.
  public var name: String
  /// The ranks it may have; nil: one for each of its cores.
  public var slots: Int?
  /// Where that is said, for messages.
  public var place: String

  public init(name: String, slots: Int? = nil, place: String) {
    self.name = name
    self.slots = slots
    self.place = place
  }
}

/// A hostfile in Open MPI's format: a host a line, as in `node1 slots=4 max_slots=8  # a comment`.
public enum Hostfile {
  /// The hosts in order; one that is named again gets more slots. Throws `HostfileError` with all mistakes there are.
  public static func parse(_ text: String, name file: String) throws -> [LaunchHost] {
    var (hosts, mistakes): ([LaunchHost], [String]) = ([], [])
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let place = "\(file):\(number + 1)"
      do {
        guard let host = try parse(line: String(line), place: place) else { continue }
        if let index = hosts.firstIndex(where: { $0.name == host.name }) {
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
    guard let name = words.first else { return nil }
    guard name.wholeMatch(of: #/([A-Za-z0-9_.-]+@)?[A-Za-z0-9_][A-Za-z0-9_.-]*/#) != nil else {
      throw LineError(problem: "expected a host's name first, as in 'node1 slots=4', found '\(name)'")
    }
    var (slots, most): (Int?, Int?) = (nil, nil)
    for word in words.dropFirst() {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard ["slots", "cpus", "count", "max_slots", "max-slots"].contains(parts[0]), parts.count == 2 else {
        throw LineError(problem: "expected slots=… or max_slots=… behind \(name), found '\(word)'")
      }
      guard let number = Int(parts[1]), (1...1_000_000).contains(number) else {
        throw LineError(problem: "\(parts[0]) of \(name) is '\(parts[1])'; expected a number of ranks, such as 4")
      }
      if parts[0].hasPrefix("max") { most = number } else { slots = number }
    }
    if let slots, let most, slots > most {
      throw LineError(problem: "\(name) has slots=\(slots) and max_slots=\(most); expected no more slots than that")
    }
    return LaunchHost(name: name, slots: slots ?? most, place: place)
  }
}

/// A hostfile with mistakes, each with its line.
public struct HostfileError: Error, Equatable, CustomStringConvertible {
  public let mistakes: [String]
  public init(mistakes: [String]) { self.mistakes = mistakes }
  public var description: String { mistakes.joined(separator: "\n") }
}
