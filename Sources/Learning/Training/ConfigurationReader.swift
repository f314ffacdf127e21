import Foundation
import Yams

/// Reads a `RunConfiguration`: defaults, then a YAML file, then `key=value` settings.
///
/// The defaults, written as YAML, are the schema: a key they do not have is unknown, and what a file or a
/// flag says is laid over them before decoding. So every key has one name, one default and one type, all
/// said in the Swift structures.
///
/// What is read may come from anybody (a job, a model's file): `BoundedYAML` keeps time and memory small.
public struct ConfigurationReader {
  /// The defaults, and what has been laid over them.
  private let schema: Node
  private var tree: Node
  private var origins: [String: String] = [:]

  public init() throws {
    schema = try Self.node(of: RunConfiguration())
    tree = schema
  }

  /// Bytes of a text that is read, at most.
  public static let mostBytes = BoundedYAML.mostBytes

  /// Reads a file's text and settings such as `training.epochs=3`. Throws `ConfigurationError`.
  public static func read(yaml: String?, name: String = "configuration", settings: [String] = []) throws
    -> RunConfiguration
  {
    var reader = try ConfigurationReader()
    if let yaml { try reader.overlay(yaml: yaml, name: name) }
    for setting in settings { try reader.overlay(setting: setting) }
    return try reader.decode { try $0.validate() }
  }

  /// Reads what a model's file has of the run that made it, which may have had a name that no run gets any more. Throws
  /// `ConfigurationError`.
  public static func read(record yaml: String, name: String) throws -> RunConfiguration {
    var reader = try ConfigurationReader()
    try reader.overlay(yaml: yaml, name: name)
    return try reader.decode { try $0.validateSettings() }
  }

  /// The configuration as YAML, every key given that means something to it; what it says reads back exactly. Throws `ConfigurationError` for one
  /// that is too long to be read.
  public static func yaml(of configuration: RunConfiguration) throws -> String {
    let exact = try JSONSerialization.jsonObject(with: JSONEncoder().encode(configuration))
    let all = withoutOthers(try readable(node(of: configuration), exact), configuration)
    let yaml = try Yams.serialize(node: all, allowUnicode: true)
    guard yaml.utf8.count <= BoundedYAML.mostBytes else {
      throw ConfigurationError(
        key: "",
        problem: "the configuration has \(yaml.utf8.count) bytes, every key given; expected at most "
          + "\(BoundedYAML.mostBytes): shorten its longest lists and texts")
    }
    return yaml
  }

  private static func node(of configuration: RunConfiguration) throws -> Node {
    guard let node = try Yams.compose(yaml: YAMLEncoder().encode(configuration)) else {
      preconditionFailure("a configuration is not empty")
    }
    return node
  }

  /// Without keys of kinds that were not chosen, which would be refused.
  private static func withoutOthers(_ node: Node, _ configuration: RunConfiguration) -> Node {
    guard case .mapping(var sections) = node, case .mapping(var model)? = sections["model"] else { return node }
    for (key, _) in configuration.foreignModelKeys { model[Node(key)] = nil }
    sections["model"] = .mapping(model)
    return .mapping(sections)
  }

  /// Lists in one line, and numbers as people write them. `YAMLEncoder` says 9e-1, and rounds to 15 digits:
  /// `exact` is the same value by way of JSON, which does not.
  private static func readable(_ node: Node, _ exact: Any?) -> Node {
    switch node {
    case .mapping(var mapping):
      let values = exact as? [String: Any]
      for (key, value) in mapping { mapping[key] = readable(value, values?[key.string ?? ""]) }
      return .mapping(mapping)
    case .sequence(var sequence):
      sequence.style = .flow
      let values = exact as? [Any]
      for index in sequence.indices { sequence[index] = readable(sequence[index], values?[index]) }
      return .sequence(sequence)
    default:
      guard let text = node.string, text.contains("e"), Double(text) != nil, let number = exact as? Double else {
        return node
      }
      return Node("\(number)", node.tag)
    }
  }

  private mutating func overlay(yaml: String, name: String) throws {
    let found: Node?
    do {
      found = try BoundedYAML.compose(yaml)
    } catch let error as BoundedYAML.Refusal {
      throw ConfigurationError(
        key: "",
        problem: "\(error)\(yaml.utf8.contains(UInt8(ascii: "\t")) ? "; it has tabs: indent with spaces" : "")",
        origin: name)
    }
    guard let found, !isNull(found) else { return }  // an empty file says nothing
    guard case .mapping(let mapping) = found else {
      throw ConfigurationError(key: "", problem: "expected keys and values, as in `seed: 1`", origin: name)
    }
    try overlay(mapping, path: []) { node in
      node.mark.map { "\(name):\($0.line)" } ?? name
    }
  }

  private mutating func overlay(setting: String) throws {
    let origin = "--set \(shortened(setting))"
    guard let equals = setting.firstIndex(of: "=") else {
      throw ConfigurationError(key: "", problem: "expected key=value, as in training.epochs=3", origin: origin)
    }
    let key = setting[..<equals]
    guard key.utf8.count <= BoundedYAML.longestKey else { throw unknown([shortened(String(key))], origin) }
    let path = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let text = String(setting[setting.index(after: equals)...])
    let value: Node
    do {
      value = try Self.node(text, isText: RunConfiguration.textKeys.contains(path.joined(separator: ".")))
    } catch {
      throw ConfigurationError(
        key: String(key), problem: "'\(shortened(text))' is not YAML: put it in quotes (\(error))", origin: origin)
    }
    let keys = path.map { Node($0) }
    let nested = keys.dropFirst().reversed().reduce(value) { Node([($1, $0)]) }
    try overlay(Node.Mapping([(keys[0], nested)]), path: []) { _ in origin }
  }

  /// What a flag's value says. Where a text is wanted, it need not be YAML: `ROMEO:` would be a mapping.
  private static func node(_ value: String, isText: Bool) throws -> Node {
    let isQuoted = value.hasPrefix("\"") || value.hasPrefix("'")
    return isText && !isQuoted ? Node(value) : try BoundedYAML.compose(value) ?? Node("")
  }

  /// Lays one mapping over the section at `path`.
  private mutating func overlay(_ mapping: Node.Mapping, path: [String], origin: (Node) -> String) throws {
    for (key, value) in mapping {
      let name = key.string ?? ""
      let place = path + [name]
      let dotted = place.joined(separator: ".")
      guard let present = node(at: place, in: schema) else { throw unknown(place, origin(key)) }
      origins[dotted] = origin(key)
      guard case .mapping = present else {
        try checkChoice(value, dotted, origin(key))
        try checkNumbers(value, place, origin(key))
        tree = replacing(tree, at: place[...], with: value)
        continue
      }
      if isNull(value) { continue }  // a section with nothing in it
      guard case .mapping(let section) = value else {
        throw ConfigurationError(
          key: dotted, problem: "\(dotted) is a section: expected keys below it", origin: origin(key))
      }
      try overlay(section, path: place, origin: origin)
    }
  }

  private func decode(_ validate: (RunConfiguration) throws -> Void) throws -> RunConfiguration {
    let configuration: RunConfiguration
    do {
      configuration = try YAMLDecoder().decode(RunConfiguration.self, from: tree)
    } catch let error as DecodingError {
      throw explain(error)
    }
    for (key, kind) in configuration.foreignModelKeys {
      guard let origin = origins["model.\(key)"] else { continue }
      throw ConfigurationError(
        key: "model.\(key)",
        problem:
          "model.\(key) is a key of model.kind \(kind.rawValue); expected keys of \(configuration.model.kind.rawValue): "
          + "leave it out, or set model.kind to \(kind.rawValue)", origin: origin)
    }
    do {
      try validate(configuration)
    } catch var error as ConfigurationError {
      error.origin = origin(of: error.key)
      throw error
    }
    return configuration
  }

  /// Where a key, or the section it stands in, was said.
  private func origin(of key: String) -> String? {
    var path = key.split(separator: ".")
    while !path.isEmpty {
      if let origin = origins[path.joined(separator: ".")] { return origin }
      path.removeLast()
    }
    return nil
  }

  private func explain(_ error: DecodingError) -> ConfigurationError {
    let (context, expected): (DecodingError.Context, String) =
      switch error {
      case .typeMismatch(let type, let context): (context, Self.word(for: type))
      case .valueNotFound(let type, let context): (context, Self.word(for: type))
      case .keyNotFound(_, let context): (context, "a value")
      case .dataCorrupted(let context): (context, context.debugDescription)
      @unknown default: (DecodingError.Context(codingPath: [], debugDescription: ""), "\(error)")
      }
    let path = context.codingPath.filter { $0.intValue == nil }.map(\.stringValue)
    let key = path.joined(separator: ".")
    let found = node(at: path, in: tree)?.string.map { "'\(shortened($0))'" } ?? "something else"
    return ConfigurationError(
      key: key, problem: "\(key) is \(found); expected \(expected)", origin: origin(of: key))
  }

  private static func word(for type: Any.Type) -> String {
    switch type {
    case is Bool.Type: "true or false"
    case is String.Type: "text"
    case is any BinaryInteger.Type: "a whole number"
    case is any FloatingPoint.Type: "a number"
    default: "a list"
    }
  }

  // MARK: - Unknown keys

  private func checkChoice(_ value: Node, _ key: String, _ origin: String) throws {
    guard let choices = RunConfiguration.choices[key] else { return }
    let found = value.string ?? ""
    guard !choices.contains(found) else { return }
    let hint = closest(to: found, among: choices).map { " (did you mean '\($0)'?)" } ?? ""
    throw ConfigurationError(
      key: key,
      problem: "\(key) is '\(shortened(found))'\(hint); expected one of \(choices.joined(separator: ", "))",
      origin: origin)
  }

  /// YAML 1.1 has numbers of base 60, such as 1:30:00, which Yams multiplies out until an integer overflows and traps.
  private func checkNumbers(_ value: Node, _ path: [String], _ origin: String) throws {
    guard let standard = node(at: path, in: schema), (standard.array().first ?? standard).tag == Tag(.int) else {
      return
    }
    for case .scalar(let scalar) in [value] + value.array() where scalar.string.contains(":") {
      let digits = scalar.string.split(separator: ":", omittingEmptySubsequences: false)
      guard digits.count > 4 || digits.contains(where: { $0.utf8.count > 9 }) else { continue }
      let key = path.joined(separator: ".")
      throw ConfigurationError(
        key: key, problem: "\(key) is '\(shortened(scalar.string))'; expected a whole number", origin: origin)
    }
  }

  private func unknown(_ path: [String], _ origin: String) -> ConfigurationError {
    let key = path.joined(separator: ".")
    let section = path.dropLast()
    let siblings = names(in: Array(section)).map { (section + [$0]).joined(separator: ".") }
    let everywhere = allKeys(schema, [])
    let elsewhere = everywhere.first { $0.split(separator: ".").last.map(String.init) == path.last }
    let suggestion = elsewhere ?? closest(to: key, among: siblings) ?? closest(to: key, among: everywhere)
    let hint = suggestion.map { "; did you mean '\($0)'?" } ?? "; configs/README.md lists the keys"
    return ConfigurationError(key: key, problem: "unknown key '\(key)'\(hint)", origin: origin)
  }

  // MARK: - The tree of keys

  private func isNull(_ node: Node) -> Bool { node.null != nil && node.scalar?.style == .plain }

  private func node(at path: [String], in tree: Node) -> Node? {
    var node = tree
    for name in path {
      guard case .mapping(let mapping) = node, let next = mapping[Node(name)] else { return nil }
      node = next
    }
    return node
  }

  private func replacing(_ node: Node, at path: ArraySlice<String>, with value: Node) -> Node {
    guard let name = path.first, case .mapping(var mapping) = node, let inner = mapping[Node(name)] else {
      return value
    }
    mapping[Node(name)] = replacing(inner, at: path.dropFirst(), with: value)
    return .mapping(mapping)
  }

  private func names(in path: [String]) -> [String] {
    guard case .mapping(let mapping)? = node(at: path, in: schema) else { return [] }
    return mapping.keys.compactMap(\.string)
  }

  private func allKeys(_ node: Node, _ path: [String]) -> [String] {
    guard case .mapping(let mapping) = node else { return [path.joined(separator: ".")] }
    return mapping.flatMap { allKeys($0.value, path + [$0.key.string ?? ""]) }
  }
}

/// The candidate that takes the fewest single-letter changes, if they are few enough to be a slip.
func closest(to word: String, among candidates: [String]) -> String? {
  guard word.utf8.count <= BoundedYAML.longestKey else { return nil }
  let ranked = candidates.map { ($0, editDistance(word.lowercased(), $0.lowercased())) }
  guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(2, word.count / 4) else { return nil }
  return best.0
}

/// Levenshtein's distance: insertions, deletions and substitutions that turn one word into the other.
private func editDistance(_ a: String, _ b: String) -> Int {
  let b = Array(b)
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.count]
}
