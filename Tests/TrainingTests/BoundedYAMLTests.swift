import TestSupport
import Testing

@testable import Training

/// YAML that others wrote takes no more time and memory than its length says.
@Suite struct BoundedYAMLTests {
  private func problem(_ yaml: String?, _ settings: [String] = []) -> String {
    do {
      _ = try ConfigurationReader.read(yaml: yaml, name: "run.yaml", settings: ["corpus.text=a.txt"] + settings)
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  /// Lists of aliases of lists of aliases: 10^10 values in some four hundred bytes.
  private static let anchors = (1...9).reduce("&l0 [x, x, x, x, x, x, x, x, x, x]") { inner, level in
    "&l\(level) [\(inner)\(String(repeating: ", *l\(level - 1)", count: 9))]"
  }

  @Test func anchorsAreRefusedBeforeAnythingIsMadeOfThem() {
    for yaml in ["? \(Self.anchors) : 1\n", "seed: \(Self.anchors)\n", "{? \(Self.anchors) : 1}"] {
      #expect(problem(yaml).contains("this YAML is not accepted: line 1"), "\(problem(yaml))")
    }
    #expect(
      problem("training:\n  epochs: &e 3\n").contains("line 2, training.epochs: expected a value, found an anchor (&)"))
    #expect(problem("seed: *x").contains("found an alias (*)"))
    #expect(problem(nil, ["seed=\(Self.anchors)"]).contains("is not YAML: put it in quotes"))
  }

  @Test(arguments: [
    ("? [a, b]\n: 1\n", "expected a word as a key, found a list"), ("{{a: 1}: 2}", "found a section"),
    ("<<: {seed: 2}", "found a merge (<<)"), ("seed: !!binary x", "found the tag tag:yaml.org,2002:binary"),
    ("seed: !mine 3", "found the tag !mine"), ("--- 1\n--- 2\n", "expected one document, found another"),
    ("seed: 1\nseed: 2", "line 2: expected each key once, found 'seed' again"),
    (String(repeating: "k", count: 300) + ": 1", "expected a key of at most 200 bytes, found one of 300"),
    (String(repeating: "[", count: 50_000), "this is not YAML"),
    (String(repeating: "[", count: 17) + String(repeating: "]", count: 17), "at most 16 lists and sections"),
    ((0..<30_000).map { "%TAG !a\($0)! tag:x\n" }.joined() + "--- 1\n", "at most 16 lines that begin with %"),
    (String(repeating: "- ", count: 50_000), "at most 16 lists and sections"),
    ("seed: \(String(repeating: "{a: ", count: 500))", "at most 16 lists and sections"),
    ((0..<2000).map { "k\($0): 1\n" }.joined(), "at most 1000 keys"),
    (String(repeating: "#\n", count: 600_000), "at most 1048576 bytes, found 1200000"),
    (String(repeating: "\n", count: 500_000) + "\u{1}", "this is not YAML: byte 500000"),
  ])
  func whatNoConfigurationNeedsIsRefused(yaml: String, says: String) {
    #expect(problem(yaml).contains(says), "\(problem(yaml).prefix(300))")
  }

  @Test func listsAreBoundedAndNamed() {
    let long = "[\(String(repeating: "1, ", count: 100_000))1]"
    #expect(
      problem("model:\n  hiddenSizes: \(long)").contains("line 2, model.hiddenSizes: expected at most 4096 values"))
    #expect(problem(nil, ["generation.temperatures=\(long)"]).contains("expected at most 4096 values in a list"))
    let short = "[\(String(repeating: "[\(String(repeating: "1, ", count: 4000))1], ", count: 3))1]"
    #expect(problem("seed: \(short)").contains("expected at most 10000 values in all"))
    // As many as there may be are read.
    let texts = "[\(String(repeating: "a.txt, ", count: 4095))b.txt]"
    #expect(problem("corpus: {text: \(texts)}", ["corpus.text=\(texts)"]) == "no error")
  }

  /// YAML 1.1 has numbers of base 60, which are multiplied out.
  @Test func numbersOfBase60DoNotOverflow() throws {
    for value in ["1:1:1:1:1:1:1:1:1:1:1:1", "9223372036854775807:1:1", "[1, 1:1:1:1:1:1:1:1:1:1:1:1]"] {
      for key in ["seed", "training.epochs", "model.hiddenSizes"] {
        #expect(problem(nil, ["\(key)=\(value)"]).contains("\(key) is '"), "\(key)=\(value)")
      }
    }
    #expect(problem("training: {timeLimit: 1:1:1:1:1:1:1:1:1:1:1:1}").contains("timeLimit"))
    let found = try ConfigurationReader.read(
      yaml: "training: {timeLimit: 1:30:00, epochs: 1:30}\ngeneration: {prompts: ['1:1:1:1:1:1:1', 00:99:99:99:99:99]}",
      settings: ["corpus.text=a"])
    #expect(found.training.timeLimit == 5400 && found.training.epochs == 90)
    #expect(try ConfigurationReader.read(yaml: ConfigurationReader.yaml(of: found)) == found)
  }

  @Test func longSettingsAndValuesAreShownShort() {
    let long = String(repeating: "x", count: 500_000)
    for settings in [["\(long)=1"], ["seed=\(long)"], ["model.cell=\(long)"], ["name=\(long)"], [long]] {
      let found = problem(nil, settings)
      #expect(found.utf8.count < 1000 && found != "no error", "\(found.prefix(300))")
    }
    #expect(problem(nil, [String(repeating: "a.", count: 500_000) + "b=1"]).contains("unknown key"))
    #expect(problem("seed: \(long)").utf8.count < 1000)
  }

  /// Nothing is written that could not be read again.
  @Test func aConfigurationThatIsTooLongIsNotWritten() throws {
    var configuration = RunConfiguration()
    configuration.corpus.text = ["a"]
    configuration.generation.prompts = [String(repeating: "\u{1}", count: 1 << 19)]
    #expect(throws: ConfigurationError.self) { try ConfigurationReader.yaml(of: configuration) }
  }

  // MARK: - Names

  @Test(arguments: [
    ("-rf", "does not begin with '-'"), ("--help", "does not begin with '-'"),
    ("control.sock", "the daemon has a file"),
    ("control.token", "the daemon has a file"), ("control.token.partial", "the daemon has a file"),
    (String(repeating: "n", count: 5000), "5000 bytes; expected at most 100"),
    (String(repeating: "ü", count: 51), "102 bytes; expected at most 100"), (".queue", "a name for a folder"),
  ])
  func namesThatNoFolderShouldHaveAreRefused(name: String, says: String) {
    #expect(problem("name: '\(name)'").contains(says), "\(problem("name: '\(name)'"))")
  }

  @Test(arguments: ["a", "größer-2", "run.1_b", "control", "control.sock.2", String(repeating: "n", count: 100)])
  func namesOfRunsStayWhatTheyWere(name: String) { #expect(problem("name: '\(name)'") == "no error") }

  /// A model of a run that was called so before is read all the same.
  @Test func modelsKeepTheirNames() throws {
    let record = try ConfigurationReader.yaml(
      of: {
        var configuration = RunConfiguration()
        configuration.corpus.text = ["a"]
        configuration.name = "-rf"
        return configuration
      }())
    #expect(try ConfigurationReader.read(record: record, name: "a.h5").name == "-rf")
    #expect(throws: ConfigurationError.self) { try ConfigurationReader.read(yaml: record) }
  }
}
