/// A fault of a text, a token file or the settings that name them: where it is, what was expected and what
/// was found, and what to do about it.
public struct CorpusError: Error, CustomStringConvertible, Equatable {
  /// A file (with line and byte offset, if it is a text) or the key of a setting.
  public let place: String
  /// What was expected and what was found.
  public let problem: String
  public let remedy: String

  public init(_ place: String, _ problem: String, remedy: String) {
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  public var description: String { "\(place): \(problem); \(remedy)" }
}
