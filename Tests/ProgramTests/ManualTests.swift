import Foundation
import TestSupport
import Testing

/// The manual page, completions for shells, and what `launch/install` does with them.
@Suite struct ManualTests {
  // MARK: - The page

  @Test func thePageTellsEveryCommandAndOption() throws {
    let (page, commands) = (try ManualPage(), try CommandInfo.all())
    #expect(commands.count > 20)
    #expect(page.sections.keys.sorted() == commands.keys.sorted())
    var defaults = 0
    for (name, command) in commands {
      var items = page.sections[name] ?? [:]
      if command.options["token-file"] != nil { items.merge(page.common) { own, _ in own } }
      #expect(items.keys.sorted() == command.options.keys.sorted(), "\(name)")
      for (option, info) in command.options {
        guard let item = items[option] else { continue }
        if let values = info.allValues, let told = item.values { #expect(told == values, "\(name) --\(option)") }
        if info.kind == "option", let value = info.defaultValue, let told = item.defaultValue {
          #expect(told == value || Double(told) == Double(value), "\(name) --\(option)")
          defaults += 1
        }
      }
    }
    #expect(defaults > 25)
  }

  @Test func thePageTellsNoOtherOption() throws {
    let known = try CommandInfo.all().values.reduce(
      into: Set(["help", "version", "generate-completion-script"])
    ) { $0.formUnion($1.options.keys) }
    let text = try ManualPage.text.replacing("\\-", with: "-")
    let told = text.matches(of: #/(?:Fl -|[^a-z-]--)(?<name>[a-z][a-z-]*)/#).map { String($0.name) }
    #expect(told.count > 100)
    #expect(Set(told).subtracting(known).isEmpty)
  }

  @Test func thePageIsWellFormed() throws {
    let outcome = try Programs.run("mandoc", ["-T", "lint", "-W", "warning", ManualPage.path], in: "/")
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.error)")
  }

  // MARK: - Completions

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsAreAccepted(by shell: String) throws {
    let folder = try TemporaryFolder()
    let outcome = try Programs.run(shell, ["-n", folder.writeCompletions(for: shell)], in: "/")
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.error)")
  }

  @Test(arguments: [
    ("gen", ["generate"]), ("corpus pre", ["prepare"]), ("generate --tem", ["--temperature"]),
    ("generate model.h5 --top-", ["--top-k", "--top-p"]), ("score model.h5 - --by ", ["sentence", "token"]),
    ("export model.h5 --precision h", ["half"]), ("generate mod", ["model.h5", "models"]),
    ("train ", ["models", "run.yaml"]), ("import --tokenizer ch", ["characters"]), ("ask evaluate --part t", ["test"]),
  ]) func bashCompletes(line: String, with completions: [String]) throws {
    let folder = try TemporaryFolder()
    for name in ["model.h5", "models/model.h5", "run.yaml", "text.txt"] { try folder.write("files/\(name)", "") }
    let script = """
      source "$1"
      complete -p lockstep >/dev/null || exit 3
      COMP_LINE="lockstep $2"
      COMP_POINT=${#COMP_LINE}
      read -ra COMP_WORDS <<<"$COMP_LINE"
      [[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _lockstep lockstep "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let outcome = try Programs.run(
      "bash", ["-c", script, "bash", folder.writeCompletions(for: "bash"), line], in: folder.file("files"))
    #expect(outcome.status == 0 && outcome.lines.sorted() == completions, "\(outcome.output)\(outcome.error)")
  }

  @Test func fishCompletes() throws {
    let folder = try TemporaryFolder()
    let path = try folder.writeCompletions(for: "fish")
    for (line, completion) in [("lockstep gen", "generate"), ("lockstep generate --tem", "--temperature")] {
      let outcome = try Programs.run(
        "fish", ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", path, line], in: "/")
      #expect(
        outcome.lines.map { $0.prefix { $0 != "\t" } } == [completion[...]], "\(outcome.output)\(outcome.error)")
    }
  }

  // MARK: - Installing

  @Test func itIsInstalledAndTakenAwayAgain() throws {
    let folder = try TemporaryFolder()
    let top = folder.file("there")
    func install(_ arguments: String...) throws -> Outcome {
      try Programs.run(
        "\(Programs.repository)/launch/install", ["--prefix", top] + arguments, in: folder.path,
        environment: ["LOCKSTEP_BINARIES": Programs.folder])
    }
    func files() throws -> [String] {
      try FileManager.default.subpathsOfDirectory(atPath: top).sorted().filter {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: "\(top)/\($0)", isDirectory: &isFolder) && !isFolder.boolValue
      }
    }
    // What is somebody else's stays.
    try folder.write("there/bin/other", "")
    let installed = try install()
    #expect(installed.status == 0, "\(installed.error)")
    #expect(installed.output.contains("export PATH=\(top)/bin:$PATH\n"), "\(installed.output)")
    #expect(
      try files() == [
        "bin/lockstep", "bin/lockstepd", "bin/other", "share/bash-completion/completions/lockstep",
        "share/fish/vendor_completions.d/lockstep.fish", "share/man/man1/lockstep.1",
        "share/zsh/site-functions/_lockstep",
      ])
    for program in ["lockstep", "lockstepd"] {
      let version = try Programs.run("\(top)/bin/\(program)", ["--version"], in: "/")
      #expect(try version.output == Programs.run("\(Programs.folder)/\(program)", ["--version"], in: "/").output)
      #expect(version.status == 0 && !version.output.isEmpty, "\(version.error)")
    }
    // Work as the program that was built does it.
    let sample = ["corpus", "sample", "--lines", "20", "--output"]
    #expect(try Programs.run("\(top)/bin/lockstep", sample + ["installed"], in: folder.path).status == 0)
    #expect(try Programs.run("\(Programs.folder)/lockstep", sample + ["built"], in: folder.path).status == 0)
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: folder.file("installed/sample.txt")))
        == Data(contentsOf: URL(fileURLWithPath: folder.file("built/sample.txt"))))
    #expect(try install().status == 0)
    let taken = try install("--uninstall")
    #expect(taken.status == 0, "\(taken.error)")
    #expect(try files() == ["bin/other"])
  }
}

extension TemporaryFolder {
  /// Writes the completions that the program makes for a shell, and gives back their path.
  fileprivate func writeCompletions(for shell: String) throws -> String {
    let outcome = try Programs.lockstep("--generate-completion-script", shell, in: path)
    #expect(outcome.status == 0 && outcome.output.contains("temperature"), "\(outcome.error)")
    return try write("completions.\(shell)", outcome.output)
  }
}

/// A command as the program describes itself, without what all commands take.
private struct CommandInfo {
  struct Argument: Decodable {
    struct Name: Decodable {
      let kind: String
      let name: String
    }

    let kind: String
    let names: [Name]?
    let defaultValue: String?
    let allValues: [String]?
  }

  private struct Dump: Decodable { let command: Command }

  private struct Command: Decodable {
    let commandName: String
    let arguments: [Argument]?
    let subcommands: [Command]?
  }

  /// By their long names.
  let options: [String: Argument]

  /// Every command that does something, by what is typed to call it.
  static func all() throws -> [String: CommandInfo] {
    let outcome = try Programs.lockstep("--experimental-dump-help", in: "/")
    var commands: [String: CommandInfo] = [:]
    func add(_ command: Command, below path: String) {
      let path = path + command.commandName
      for subcommand in command.subcommands ?? [] where subcommand.commandName != "help" {
        add(subcommand, below: path + " ")
      }
      guard command.subcommands == nil else { return }
      var options: [String: Argument] = [:]
      for argument in command.arguments ?? [] {
        for name in argument.names ?? [] where name.kind == "long" { options[name.name] = argument }
      }
      for name in ["help", "version"] { options[name] = nil }
      commands[path] = CommandInfo(options: options)
    }
    add(try JSONDecoder().decode(Dump.self, from: Data(outcome.output.utf8)).command, below: "")
    return commands
  }
}

/// What the manual page tells of options.
private struct ManualPage {
  struct Item {
    /// What may be given; nil where that is not a list of words.
    let values: [String]?
    let defaultValue: String?
  }

  static let path = "\(Programs.repository)/Sources/Programs/lockstep/lockstep.1"
  static var text: String { get throws { try String(contentsOfFile: path, encoding: .utf8) } }

  /// By command, then by option.
  private(set) var sections: [String: [String: Item]] = [:]
  /// What commands that talk to a daemon take.
  private(set) var common: [String: Item] = [:]

  init() throws {
    for text in try Self.text.components(separatedBy: "\n.Ss ").dropFirst() {
      let section = text.components(separatedBy: "\n.Sh ")[0]
      let title = section.prefix { $0 != "\n" }
      if title.hasPrefix("lockstep ") {
        sections[String(title)] = Self.items(in: section)
      } else {
        common = Self.items(in: section)
      }
    }
  }

  private static func items(in section: String) -> [String: Item] {
    var items: [String: Item] = [:]
    for text in section.components(separatedBy: "\n.It ").dropFirst() {
      let head = text.prefix { $0 != "\n" }
      let values = head.firstMatch(of: #/ Cm (.*)$/#).map { $0.1.components(separatedBy: " | ") }
      let value = text.firstMatch(of: #/\nDefault:\s(?:\.Cm )?(\S+)/#).map {
        String($0.1).trimmingCharacters(in: [".", ",", ";"])
      }
      for name in head.matches(of: #/Fl -([a-z-]+)/#) {
        items[String(name.1)] = Item(values: values, defaultValue: value)
      }
    }
    return items
  }
}
