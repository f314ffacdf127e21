/// Texts as someone writes them who knows where readers of YAML and JSON hurt: anchors that multiply, depth, sizes, keys of
/// all kinds, numbers of all forms; beside those that `mutate` damages.
extension Mutator {
  /// Made of a configuration that is whole.
  public mutating func hostileYAML(_ yaml: String) -> String {
    switch Int.random(in: 0..<8, using: &random) {
    case 0, 1: return String(decoding: mutate(Array(yaml.utf8)), as: UTF8.self)
    case 2: return placed(anchors(), in: yaml)
    case 3: return placed(nested(), in: yaml)
    case 4: return placed("[\(repeated("1, "))1]", in: yaml)
    case 5: return yaml + keys()
    case 6: return placed(pick(Self.values), in: yaml)
    default: return placed(large(), in: yaml)
    }
  }

  /// A setting over a configuration, as in `training.epochs=3`.
  public mutating func hostileSetting(_ yaml: String) -> String {
    let key = Bool.random(using: &random) ? pick(Self.keys) : repeated("a.") + "b"
    switch Int.random(in: 0..<4, using: &random) {
    case 0: return "\(key)=\(anchors())"
    case 1: return "\(key)=\(nested())"
    case 2: return "\(key)=[\(repeated("1, "))1]"
    default: return "\(key)=\(pick(Self.values))"
    }
  }

  /// Made of an object in JSON that is whole.
  public mutating func hostileJSON(_ json: String) -> String {
    let start = json.prefix(1)
    switch Int.random(in: 0..<6, using: &random) {
    case 0, 1: return String(decoding: mutate(Array(json.utf8)), as: UTF8.self)
    case 2: return "\(start)\"x\":\(nested()),\(json.dropFirst())"
    case 3: return "\(start)\"x\":[\(repeated("0,"))0],\(json.dropFirst())"
    case 4: return "\(start)\(repeated("\"x\":\"\\u0000\","))\(json.dropFirst())"
    default: return "\(start)\"\(pick(Self.keys))\":\(pick(Self.values)),\(json.dropFirst())"
    }
  }

  private static let keys = [
    "name", "seed", "model.hiddenSizes", "model.from", "corpus.text", "corpus.split", "training.epochs",
    "optimizer.kind",
    "generation.prompts", "coordinator.evaluate", "output.directory", "training.timeLimit", "configuration", "prompt",
  ]
  private static let values = [
    "1:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1", "9223372036854775807:1:1", "-1:-1", ".inf", "-.inf", ".nan", "0x", "0b2", "0o8",
    "_",
    "1e999999999", "-9223372036854775808", "99999999999999999999999999", "~", "null", "''", "!!binary x", "!!int x",
    "!x y",
    "!!str 1", "2001-12-14t21:59:43.10-05:00", "<<", "*x", "&x 1", "? x", "| \n", "> \n", "%YAML 1.1", "{a: {a: {}}}",
    "[[[]]]",
    "\"\\uD800\"", "\"\\x00\"", "@", "`", "- - - 1", "{? [a, b] : 1}", "{*a : 1}", "-rf", "/etc/passwd", "../../..",
    "a\u{0}b",
  ]

  private mutating func pick(_ texts: [String]) -> String { texts.randomElement(using: &random) ?? "" }

  /// From a few to many times, so that sizes around every bound come.
  private mutating func repeated(_ text: String) -> String {
    let count = 1 << Int.random(in: 0...17, using: &random)
    return String(repeating: text, count: .random(in: count / 2...count, using: &random))
  }

  /// Lists of aliases of lists of aliases: `width` to the power of `depth` values, as a value or as a key.
  private mutating func anchors() -> String {
    let width = Int.random(in: 1...12, using: &random)
    var text = "&l0 [\(Array(repeating: "x", count: width).joined(separator: ", "))]"
    for level in 1...Int.random(in: 1...12, using: &random) {
      text = "&l\(level) [\(text)\(String(repeating: ", *l\(level - 1)", count: width))]"
    }
    return Bool.random(using: &random) ? text : "{? \(text) : 1}"
  }

  private mutating func nested() -> String {
    let (open, close) =
      [("[", "]"), ("{a: ", "}"), ("{\"a\":", "}"), ("- ", ""), ("? ", ""), ("!!seq [", "]")]
      .randomElement(using: &random) ?? ("[", "]")
    let opened = repeated(open)
    return opened + "1"
      + (Bool.random(using: &random) ? String(repeating: close, count: opened.count / open.count) : "")
  }

  /// Keys of all kinds, and many.
  private mutating func keys() -> String {
    switch Int.random(in: 0..<7, using: &random) {
    case 0: return "\n? [\(repeated("a, "))b]\n: 1\n"
    case 1: return "\n? {\(pick(Self.keys)): \(pick(Self.values))}\n: 1\n"
    case 2: return "\n\(repeated("k")): 1\n"
    case 3: return "\n" + (0..<repeated("k").utf8.count / 4).map { "k\($0): 1\n" }.joined()
    case 4: return "\n? \(anchors())\n: 1\n"
    case 5: return "\n<<: {\(pick(Self.keys)): 1}\n\"\": 2\n~: 3\n"
    default: return "\n\(pick(Self.values)): \(pick(Self.values))\n"
    }
  }

  private mutating func large() -> String {
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return "|\n\(repeated("   \n"))"
    case 1: return "\"\(repeated("\\u00e9"))\""
    case 2: return "1\n\(repeated("---\n"))"
    case 3: return "1\n\(repeated("# \t\n"))\u{1}"
    case 4: return "1\n" + (0..<repeated("k").utf8.count / 4).map { "%TAG !a\($0)! tag:x\n" }.joined() + "---\n"
    default: return repeated("\u{1F986}")
    }
  }

  /// In the place of what follows one of a configuration's keys.
  private mutating func placed(_ value: String, in yaml: String) -> String {
    var lines = yaml.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let line = Int.random(in: 0..<lines.count, using: &random)
    lines[line] = (lines[line].split(separator: ":").first.map { "\($0): " } ?? "") + value
    return lines.joined(separator: "\n")
  }
}
