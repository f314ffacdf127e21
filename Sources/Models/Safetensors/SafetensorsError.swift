/// A safetensors file that cannot be used, or a model that cannot be written as one.
public struct SafetensorsError: Error, CustomStringConvertible, Equatable {
  public let file: String
  /// A tensor, a key of the metadata or a byte of the header; nil if the error is about the whole file.
  public let place: String?
  /// What was expected and what was found.
  public let problem: String
  public let remedy: String

  init(_ file: String, _ place: String? = nil, _ problem: String, remedy: String) {
    self.file = file
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  public var description: String { "\(place.map { "\(file), \($0)" } ?? file): \(problem); \(remedy)" }
}

/// A name as a file gives it, fit to be shown: in quotes, control characters escaped, and not longer than a line.
func shown(_ name: String) -> String {
  let start = String(name.unicodeScalars.prefix(60))
  return start == name ? name.debugDescription : "\(start.debugDescription)…"
}
