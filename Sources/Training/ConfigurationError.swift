/// A configuration that cannot be used: where it says what, and what was expected.
public struct ConfigurationError: Error, CustomStringConvertible, Equatable {
  /// Path of the key, "training.epochs"; empty for the file as a whole.
  public let key: String
  /// What is wrong and what to do.
  public let problem: String
  /// File and line, or the flag, that said it; nil for a default.
  public var origin: String?

  public init(key: String, problem: String, origin: String? = nil) {
    self.key = key
    self.problem = problem
    self.origin = origin
  }

  public var description: String { origin.map { "\($0): \(problem)" } ?? problem }
}
