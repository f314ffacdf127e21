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

  /// Cut where a value in it is long.
  public var description: String {
    let told = problem.count > Self.longest ? "\(problem.prefix(Self.longest))…" : problem
    return origin.map { "\($0): \(told)" } ?? told
  }

  private static let longest = 1000
}
