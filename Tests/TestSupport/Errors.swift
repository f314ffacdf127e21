import Testing

/// The error a body throws, as text; fails the test if it throws none.
public func message(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> String {
  do {
    try body()
    Issue.record("expected an error", sourceLocation: sourceLocation)
    return ""
  } catch {
    return "\(error)"
  }
}

/// Expects that an error says all of the given things.
public func expectError(
  _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation, from body: () throws -> Void
) {
  let message = message(body, sourceLocation: sourceLocation)
  for part in parts {
    #expect(message.contains(part), "\"\(part)\" in: \(message)", sourceLocation: sourceLocation)
  }
}
