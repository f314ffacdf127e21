// Part of the package Yams, which has no product for it.
internal import CYaml
import Yams

/// Reads YAML that others may have written, in bounded time and memory.
///
/// Yams builds all nodes of a text, hashes the keys of each mapping and only then gives back control: a few hundred bytes of
/// anchors in a key are hashed for years, and the time to decode a list grows with the square of its length. So libyaml's
/// events are looked at first: nothing is built of a text that is too large, nests too deep, or has what no
/// configuration needs.
public enum BoundedYAML {
  /// Bytes of a text: what the API takes too.
  public static let mostBytes = 1 << 20
  /// Lists and sections in each other.
  static let mostDepth = 16
  /// Values of a list, and of all lists and sections together.
  static let mostEntries = 4096
  static let mostNodes = 10_000
  /// Keys of all sections.
  static let mostKeys = 1000
  /// Bytes of a key.
  static let longestKey = 200
  /// Lines that begin with a directive's character: libyaml compares each with all.
  static let mostDirectives = 16

  /// Why a text is not read.
  public struct Refusal: Error, CustomStringConvertible {
    public let description: String
  }

  /// The one document of a text; nil where it is empty. Throws `Refusal`.
  public static func compose(_ yaml: String) throws -> Node? {
    try check(yaml)
    do {
      return try Yams.compose(yaml: yaml)
    } catch {
      throw Refusal(description: "this is not YAML: \(shortened("\(error)"))")
    }
  }

  private static func check(_ yaml: String) throws {
    guard yaml.utf8.count <= mostBytes else {
      throw Refusal(
        description:
          "this YAML is not accepted: expected at most \(mostBytes) bytes, found \(yaml.utf8.count)")
    }
    let directives = yaml.utf8.split(separator: UInt8(ascii: "\n")).count { $0.first == UInt8(ascii: "%") }
    guard directives <= mostDirectives else {
      throw Refusal(
        description: "this YAML is not accepted: expected at most \(mostDirectives) lines that begin with %, "
          + "found \(directives)")
    }
    // libyaml keeps its address.
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { parser.deallocate() }
    precondition(yaml_parser_initialize(parser) == 1, "no memory for a parser")
    defer { yaml_parser_delete(parser) }
    var yaml = yaml
    try yaml.withUTF8 { bytes in
      yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
      yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
      var walk = YAMLWalk()
      var isAtEnd = false
      while !isAtEnd {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError(parser.pointee) }
        defer { yaml_event_delete(&event) }
        isAtEnd = event.type == YAML_STREAM_END_EVENT
        try walk.take(event)
      }
    }
  }

  /// What libyaml has found wrong.
  private static func syntaxError(_ parser: yaml_parser_t) -> Refusal {
    let problem = parser.problem.map { String(cString: $0) } ?? "it cannot be read"
    let context = parser.context.map { ", \(String(cString: $0))" } ?? ""
    let place =
      parser.error == YAML_READER_ERROR
      ? "byte \(parser.problem_offset)"
      : "line \(parser.problem_mark.line + 1), column \(parser.problem_mark.column + 1)"
    return Refusal(description: "this is not YAML: \(place)\(context): \(problem)")
  }
}

/// Goes through the events of a text, and remembers no more of them than the bounds allow.
private struct YAMLWalk {
  /// A list or section that has begun and not ended.
  private struct Collection {
    let isSection: Bool
    /// Of a section, that have been read; the last of them is the one whose value comes.
    var keys: Set<String> = []
    var key = ""
    var expectsKey: Bool
    var entries = 0
  }

  private var open: [Collection] = []
  private var nodes = 0
  private var keys = 0
  private var documents = 0

  mutating func take(_ event: yaml_event_t) throws {
    let line = Int(event.start_mark.line) + 1
    switch event.type {
    case YAML_DOCUMENT_START_EVENT:
      documents += 1
      if documents > 1 { throw refusal(line, "expected one document, found another") }
    case YAML_ALIAS_EVENT: throw refusal(line, "expected a value, found an alias (*); write the value itself")
    case YAML_SCALAR_EVENT:
      try begin(line, anchor: event.data.scalar.anchor, tag: event.data.scalar.tag)
      let isPlain = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE
      try end(line, UnsafeBufferPointer(start: event.data.scalar.value, count: event.data.scalar.length), isPlain)
    case YAML_SEQUENCE_START_EVENT:
      try begin(line, anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag)
      try descend(line, Collection(isSection: false, expectsKey: false))
    case YAML_MAPPING_START_EVENT:
      try begin(line, anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag)
      try descend(line, Collection(isSection: true, expectsKey: true))
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
      open.removeLast()
      valueEnded()
    default: break
    }
  }

  private static let tags: Set = ["str", "int", "float", "bool", "null", "seq", "map"]

  /// Of every node: what it may not have, and whether there is room for it.
  private mutating func begin(
    _ line: Int, anchor: UnsafeMutablePointer<UInt8>?, tag: UnsafeMutablePointer<UInt8>?
  ) throws {
    if anchor != nil { throw refusal(line, "expected a value, found an anchor (&); leave it out") }
    if let tag {
      let name = String(cString: tag)
      let prefix = "tag:yaml.org,2002:"
      guard name.hasPrefix(prefix), Self.tags.contains(String(name.dropFirst(prefix.count))) else {
        throw refusal(line, "expected a value, found the tag \(shortened(name)); leave it out")
      }
    }
    nodes += 1
    guard nodes <= BoundedYAML.mostNodes else {
      throw refusal(line, "expected at most \(BoundedYAML.mostNodes) values in all, found more")
    }
  }

  private mutating func descend(_ line: Int, _ collection: Collection) throws {
    if open.last?.expectsKey == true {
      throw refusal(line, "expected a word as a key, found a \(collection.isSection ? "section" : "list")")
    }
    guard open.count < BoundedYAML.mostDepth else {
      throw refusal(line, "expected at most \(BoundedYAML.mostDepth) lists and sections in each other, found more")
    }
    try countEntry(line)
    open.append(collection)
  }

  /// A scalar is a key or a value.
  private mutating func end(_ line: Int, _ text: UnsafeBufferPointer<UInt8>, _ isPlain: Bool) throws {
    guard open.last?.expectsKey == true else {
      try countEntry(line)
      return valueEnded()
    }
    guard text.count <= BoundedYAML.longestKey else {
      throw refusal(line, "expected a key of at most \(BoundedYAML.longestKey) bytes, found one of \(text.count)")
    }
    let key = String(decoding: text, as: UTF8.self)
    if key == "<<", isPlain { throw refusal(line, "expected a key, found a merge (<<); write the keys themselves") }
    keys += 1
    guard keys <= BoundedYAML.mostKeys else {
      throw refusal(line, "expected at most \(BoundedYAML.mostKeys) keys, found more")
    }
    guard open[open.count - 1].keys.insert(key).inserted else {
      throw BoundedYAML.Refusal(
        description: "this is not YAML: line \(line): expected each key once, found '\(shortened(key))' again")
    }
    open[open.count - 1].key = key
    open[open.count - 1].expectsKey = false
  }

  private mutating func countEntry(_ line: Int) throws {
    guard let list = open.last, !list.isSection else { return }
    open[open.count - 1].entries += 1
    guard list.entries < BoundedYAML.mostEntries else {
      throw refusal(line, "expected at most \(BoundedYAML.mostEntries) values in a list, found more")
    }
  }

  private mutating func valueEnded() {
    if open.last?.isSection == true { open[open.count - 1].expectsKey = true }
  }

  /// Says where: the line, and the keys that lead there.
  private func refusal(_ line: Int, _ problem: String) -> BoundedYAML.Refusal {
    let path = open.filter { $0.isSection && !$0.expectsKey }.map(\.key).joined(separator: ".")
    let place = path.isEmpty ? "line \(line)" : "line \(line), \(shortened(path))"
    return BoundedYAML.Refusal(description: "this YAML is not accepted: \(place): \(problem)")
  }
}

/// What others wrote, as messages show it.
func shortened(_ text: String) -> String {
  let most = 100
  return text.utf8.count <= most ? text : "\(text.prefix(most))…"
}
