/// A file that is no n-gram model, or a damaged one.
public struct NGramModelError: Error, Equatable, CustomStringConvertible {
  /// The file, and where in it.
  public let place: String
  public let problem: String
  public let remedy: String

  public init(_ place: String, _ problem: String, remedy: String) {
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  public var description: String { "\(place): \(problem); \(remedy)" }
}
