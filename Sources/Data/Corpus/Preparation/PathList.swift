/// Paths of files, or of folders that stand for all the files in them. In a configuration one path may be
/// written without a list around it.
public struct PathList: Equatable, Sendable, ExpressibleByArrayLiteral {
  public var paths: [String]

  public init(_ paths: [String]) { self.paths = paths }

  public init(arrayLiteral paths: String...) { self.init(paths) }

  public var isEmpty: Bool { paths.isEmpty }
}

extension PathList: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let path = try? container.decode(String.self) {
      self.init([path])
    } else {
      self.init(try container.decode([String].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(paths)
  }
}
