/// Why no ranks can be started on a host, and what to do about it.
public struct HostFault: Error, Equatable, Sendable, CustomStringConvertible {
  public let host: String
  public let expected: String
  public let found: String
  public let remedy: String

  public init(_ host: String, expected: String, found: String, remedy: String) {
    self.host = host
    self.expected = expected
    self.found = found
    self.remedy = remedy
  }

  public var description: String { "\(host): expected \(expected), found \(found); \(remedy)" }
}

/// Faults that keep a run from being started, all that were found.
public struct LaunchRefusal: Error, Equatable, CustomStringConvertible {
  public let faults: [HostFault]
  public init(_ faults: [HostFault]) { self.faults = faults }
  public var description: String { faults.map(\.description).joined(separator: "\n") }
}

/// What keeps this machine from launching anything.
public struct LaunchError: Error, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
