import Foundation
import TestSupport
import Testing

/// README and the pages in `docs/`: links resolve, pages stay short, and every command runs as it is written.
///
/// `sh` and `console` blocks hold commands. In `console` blocks commands follow `$ `, and the other lines are output.
/// The commands of a page run from top to bottom, in one shell and in one folder (`ReaderFolder`). A `yaml` block whose
/// first line is a comment such as `# mine.yaml` is that file. `text` blocks are output. `notRun` lists the commands
/// that no test can run. Their options are looked up like all others.
@Suite(.serialized) struct DocumentationTests {
  /// Their commands run.
  static let pages = ["README.md"] + Page.names(in: "docs").map { "docs/\($0)" }
  /// Their options are looked up.
  static let ownPages = pages + ["configs/README.md", "checkpoints/README.md", "CONTRIBUTING.md"]
  /// Their links are followed.
  static let allPages = ownPages + ["ARCHITECTURE.md", "Benchmarks/README.md"]

  /// How commands begin that do not run here, and why.
  static let notRun = [
    "git clone ": "the reader's copy of the project is this one",
    "apt-get ": "it installs packages",
    "ssh ": "it takes another machine",
    "sbatch ": "it takes Slurm; SlurmTests submits the same script",
    "sudo launch/simulate-cluster ": "it takes root; ClusterTests, HostsTests and HostFaultTests call it",
  ]

  // MARK: - Pages

  @Test(arguments: allPages) func linksResolve(on path: String) throws {
    let page = try Page(path)
    for link in page.links where !link.contains("://") {
      let parts = link.components(separatedBy: "#")
      let target = parts[0].isEmpty ? path : Page.resolve(parts[0], from: path)
      #expect(
        FileManager.default.fileExists(atPath: "\(Programs.repository)/\(target)"), "\(path): there is no \(link)")
      guard parts.count > 1 else { continue }
      let anchors = target.hasSuffix(".md") ? try Page(target).anchors : []
      #expect(anchors.contains(parts[1]), "\(path): nothing in \(target) has the anchor of \(link)")
    }
  }

  @Test func pagesAreShortAndLinked() throws {
    #expect(Self.pages.count >= 10)
    for path in Self.pages {
      let page = try Page(path)
      #expect(page.lines.count <= (path == "README.md" ? 150 : 200), "\(path) has \(page.lines.count) lines")
      for block in page.blocks {
        #expect(
          ["sh", "console", "text", "yaml", "python"].contains(block.language),
          "\(path):\(block.line): a block is sh, console, text, yaml or python")
      }
      for (number, line) in page.prose.enumerated() where line.hasPrefix("    ") {
        Issue.record("\(path):\(number + 1): an indented block would hide its commands; expected ```sh")
      }
    }
    let links = try Page("README.md").links
    for path in Self.pages.dropFirst() { #expect(links.contains(path), "README.md does not link to \(path)") }
  }

  // MARK: - Commands

  @Test(arguments: pages) func commandsRun(on path: String) throws {
    let page = try Page(path)
    let reader = try ReaderFolder(page)
    defer { withExtendedLifetime(reader) {} }
    let commands = page.commands.filter { command in !Self.notRun.keys.contains { command.text.hasPrefix($0) } }
    // It ends all that the shell has started.
    let outcome = try Programs.run(
      "timeout", ["--kill-after=15", "540", "bash", reader.write(commands)], in: reader.project, seconds: 580,
      environment: reader.environment)
    #expect(
      outcome.status == 0,
      "\(path): status \(outcome.status)\n\(outcome.error.suffix(4000))\n\(outcome.output.suffix(2000))")
  }

  @Test func whatDoesNotRunIsWrittenSomewhere() throws {
    let commands = try Self.pages.flatMap { try Page($0).commands }
    #expect(commands.count > 80)
    for beginning in Self.notRun.keys {
      #expect(commands.contains { $0.text.hasPrefix(beginning) }, "no page has '\(beginning)'")
    }
  }

  @Test func optionsAreKnown() throws {
    let interface = try Interface()
    for path in Self.ownPages {
      let page = try Page(path)
      for command in page.commands {
        for option in interface.unknown(in: command.text) { Issue.record("\(command.place): \(option) is not known") }
      }
      for text in page.code {
        for option in interface.unknown(in: text) { Issue.record("\(path): \(option) of `\(text)` is not known") }
        if let option = text.prefixMatch(of: #/--[a-z][a-z-]*/#) {
          #expect(interface.hasSomewhere(String(option.0)), "\(path): nothing takes `\(text)`")
        }
      }
    }
    // It does find what is not known.
    let wrong = "mpirun -n 2 lockstepd run a.yaml --sett a=b | lockstep ask status -z; launch/install --prefiks c"
    #expect(interface.unknown(in: wrong) == ["--sett", "-z", "--prefiks"])
  }
}

// MARK: - Reading

/// A page in Markdown.
private struct Page {
  struct Block {
    let language: String
    /// Where its first line is, from 1.
    let line: Int
    var lines: [String] = []
  }

  struct Command {
    let place: String
    var text: String

    /// Whether the shell is told not to wait for it.
    var isInBackground: Bool { text.hasSuffix("&") }
  }

  /// From the top of the repository.
  let path: String
  let lines: [String]
  private(set) var blocks: [Block] = []
  /// The lines, with empty ones in place of blocks.
  private(set) var prose: [String] = []

  init(_ path: String) throws {
    self.path = path
    let text = try String(contentsOfFile: "\(Programs.repository)/\(path)", encoding: .utf8)
    lines = (text.hasSuffix("\n") ? text.dropLast() : text[...]).components(separatedBy: "\n")
    var block: Block?
    for (index, line) in lines.enumerated() {
      if line.hasPrefix("```") {
        if let ended = block { blocks.append(ended) }
        block = block == nil ? Block(language: String(line.dropFirst(3)), line: index + 2) : nil
      } else {
        block?.lines.append(line)
      }
      prose.append(block == nil && !line.hasPrefix("```") ? line : "")
    }
    try #require(block == nil, "\(path): a block has no end")
  }

  /// Pages in a folder of the repository, in order.
  static func names(in folder: String) -> [String] {
    let names = try? FileManager.default.contentsOfDirectory(atPath: "\(Programs.repository)/\(folder)")
    return (names ?? []).filter { $0.hasSuffix(".md") }.sorted()
  }

  /// A link's target, from the top of the repository.
  static func resolve(_ link: String, from path: String) -> String {
    var parts = path.split(separator: "/").dropLast()
    for part in link.split(separator: "/") {
      if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
    }
    return parts.joined(separator: "/")
  }

  /// Targets of links and pictures.
  var links: [String] {
    prose.joined(separator: "\n").matches(of: #/\[[^\]]*\]\(([^)\s]+)\)/#).map { String($0.1) }
  }

  /// As GitHub makes them of headings.
  var anchors: Set<String> {
    var anchors: Set<String> = []
    for line in prose {
      guard let heading = line.wholeMatch(of: #/#{1,6} +(.+)/#)?.1.lowercased() else { continue }
      let anchor = heading.filter { $0.isLetter || $0.isNumber || "-_ ".contains($0) }.replacing(" ", with: "-")
      let repeated = (1...).lazy.map { "\(anchor)-\($0)" }.first { !anchors.contains($0) } ?? anchor
      anchors.insert(anchors.contains(anchor) ? repeated : anchor)
    }
    return anchors
  }

  /// Code within sentences.
  var code: [String] {
    prose.joined(separator: "\n").components(separatedBy: "\n\n").flatMap { paragraph in
      paragraph.matches(of: #/`([^`]+)`/#).map { String($0.1) }
    }
  }

  var commands: [Command] {
    blocks.flatMap { block -> [Command] in
      let sign = block.language == "console" ? "$ " : ""
      guard block.language == "sh" || block.language == "console" else { return [] }
      var commands: [Command] = []
      var continues = false
      for (index, line) in block.lines.enumerated() {
        if continues {
          commands[commands.count - 1].text += "\n\(line)"
        } else if line.hasPrefix(sign), !line.isEmpty, !line.hasPrefix("#") {
          commands.append(Command(place: "\(path):\(block.line + index)", text: String(line.dropFirst(sign.count))))
        } else {
          continue
        }
        continues = line.hasSuffix("\\")
      }
      return commands
    }
  }

  /// What the page shows of files, by name.
  var files: [String: String] {
    blocks.reduce(into: [:]) { files, block in
      guard block.language == "yaml", let first = block.lines.first else { return }
      guard let name = first.wholeMatch(of: #/# ([A-Za-z0-9-]+\.yaml)/#)?.1 else { return }
      files[String(name)] = block.lines.joined(separator: "\n") + "\n"
    }
  }
}

// MARK: - Options

/// The options of our programs and scripts.
private struct Interface {
  /// A command as its program describes itself.
  struct Command: Decodable {
    struct Argument: Decodable {
      struct Name: Decodable {
        let kind: String
        let name: String
      }

      let names: [Name]?
    }

    let commandName: String
    let arguments: [Argument]?
    let subcommands: [Command]?

    /// With their hyphens.
    var options: Set<String> {
      Set((arguments ?? []).flatMap { $0.names ?? [] }.map { ($0.kind == "short" ? "-" : "--") + $0.name })
    }

    func subcommand(_ name: String) -> Command? { subcommands?.first { $0.commandName == name } }

    func hasSomewhere(_ option: String) -> Bool {
      options.contains(option) || (subcommands ?? []).contains { $0.hasSomewhere(option) }
    }
  }

  private struct Dump: Decodable { let command: Command }

  private let programs: [String: Command]
  /// By name, what is in them.
  private let scripts: [String: String]

  init() throws {
    programs = try ["lockstep", "lockstepd"].reduce(into: [:]) { programs, name in
      let outcome = try Programs.run("\(Programs.folder)/\(name)", ["--experimental-dump-help"], in: "/")
      programs[name] = try JSONDecoder().decode(Dump.self, from: Data(outcome.output.utf8)).command
    }
    let folder = "\(Programs.repository)/launch"
    scripts = try FileManager.default.contentsOfDirectory(atPath: folder).reduce(into: [:]) { scripts, name in
      guard name != "examples" else { return }
      scripts["launch/\(name)"] = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
    }
  }

  func hasSomewhere(_ option: String) -> Bool {
    programs.values.contains { $0.hasSomewhere(option) } || scripts.values.contains { $0.contains(option) }
  }

  /// Options that a command line gives to one of ours, and that it does not take.
  func unknown(in text: String) -> [String] {
    let text = text.replacing(#/\s#\s.*/#, with: "").replacing(#/[|&;()]/#, with: " | ")
    var unknown: [String] = []
    // Whom options are for, and whether it may yet be a command of that.
    var (command, script, mayDescend): (Command?, String?, Bool) = (nil, nil, false)
    for word in text.split(whereSeparator: \.isWhitespace).map(String.init) {
      if word == "|" {
        (command, script) = (nil, nil)
      } else if let program = programs[String(word.trimmingPrefix(#/\./|.*(bin|release)//#))] {
        (command, script, mayDescend) = (program, nil, true)
      } else if let text = scripts[word] {
        // What it does not know itself launch/train hands on.
        (command, script) = (word == "launch/train" ? programs["lockstep"]?.subcommand("launch") : nil, text)
        mayDescend = false
      } else if word.hasSuffix("/lockstep.sbatch") {
        (command, script, mayDescend) = (programs["lockstep"]?.subcommand("launch"), nil, false)
      } else if mayDescend, let subcommand = command?.subcommand(word) {
        command = subcommand
      } else if let option = word.prefixMatch(of: #/--?[A-Za-z][A-Za-z-]*/#).map({ String($0.0) }) {
        mayDescend = false
        guard command != nil || script != nil else { continue }
        if command?.options.contains(option) != true, script?.contains(option) != true { unknown.append(option) }
      } else {
        mayDescend = false
      }
    }
    return unknown
  }
}

// MARK: - Running

/// A folder that stands for the project's, and what a reader is said to have.
///
/// The programs are built, so `launch/build` does nothing, and `swift` tells where they are. Runs of `lockstep train`
/// and `lockstep launch` end after 10 steps. In the background they last until they are told to end, however late the
/// next command comes. The default run has a quarter of its text. The port is another one than 8080.
private final class ReaderFolder {
  private let folder: TemporaryFolder
  private let port = Int.random(in: 20_000..<32_000)

  /// The folder that the shell is in.
  var project: String { folder.file("project") }

  var environment: [String: String] {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return Programs.mpirunEnvironment.merging([
      "PATH": "\(folder.file("bin")):\(path)", "HOME": folder.file("home"), "LOCKSTEP_BINARIES": Programs.folder,
      // More ranks than cores, in Open MPI 4 and 5.
      "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    ]) { $1 }
  }

  init(_ page: Page) throws {
    folder = try TemporaryFolder()
    try writePrograms()
    try linkProject()
    try writeTexts()
    for (name, text) in try Page("README.md").files.merging(page.files, uniquingKeysWith: { $1 }) {
      try folder.write("project/\(name)", text)
    }
  }

  private func writePrograms() throws {
    try writeScript(
      "bin/lockstep",
      """
      case $1 in
        train | launch) [[ " $* " == *' --serve '* ]] || set -- "$@" --set "$LOCKSTEP_TEST_SETTING" ;;
      esac
      exec '\(Programs.folder)/lockstep' "$@"
      """)
    try writeScript("bin/lockstepd", "exec '\(Programs.folder)/lockstepd' \"$@\"")
    try writeScript(
      "bin/swift",
      """
      [[ " $* " != *' --show-bin-path '* ]] || exec echo '\(folder.file("bin"))'
      PATH=${PATH#*:}
      exec swift "$@"
      """)
    try writeScript("project/launch/build", "true")
    try folder.write("home/.hushlogin", "")
  }

  private func linkProject() throws {
    let top = Programs.repository
    let configuration = try String(contentsOfFile: "\(top)/configs/default.yaml", encoding: .utf8)
    try #require(configuration.contains("sampleLines: 80000"))
    let short = configuration.replacing("sampleLines: 80000", with: "sampleLines: 20000")
    try folder.write("project/configs/default.yaml", short)
    let parts = try ["launch", "configs"].flatMap { part in
      try FileManager.default.contentsOfDirectory(atPath: "\(top)/\(part)").map { "\(part)/\($0)" }
    }
    for path in ["Sources"] + parts where !FileManager.default.fileExists(atPath: folder.file("project/\(path)")) {
      try FileManager.default.createSymbolicLink(
        atPath: folder.file("project/\(path)"), withDestinationPath: "\(top)/\(path)")
    }
  }

  private func writeTexts() throws {
    let sample = try Programs.lockstep("corpus", "sample", "--lines", "150", "--output", "sample", in: folder.path)
    try #require(sample.status == 0, "\(sample.error)")
    let lines = try String(contentsOfFile: folder.file("sample/sample.txt"), encoding: .utf8).split(separator: "\n")
    for (number, part) in [lines.prefix(75), lines.dropFirst(75)].enumerated() {
      try folder.write("project/my-texts/part-\(number + 1).txt", part.map { "\($0)\n" }.joined())
    }
    try folder.write("project/hosts", "localhost slots=\(min(2, ProcessInfo.processInfo.activeProcessorCount))\n")
    try folder.write("project/theirs.safetensors", Self.foreignModel)
    try folder.write("project/words.txt", "<unk>\n<eos>\ncat\n")
  }

  /// A state dict of PyTorch's word_language_model as others save it: tensors alone, of three words and two units.
  private static var foreignModel: [UInt8] {
    var (entries, size): ([String], Int) = ([], 0)
    for (name, shape) in [
      ("encoder.weight", [3, 2]), ("rnn.weight_ih_l0", [8, 2]), ("rnn.weight_hh_l0", [8, 2]), ("rnn.bias_ih_l0", [8]),
      ("rnn.bias_hh_l0", [8]), ("decoder.weight", [3, 2]), ("decoder.bias", [3]),
    ] {
      let end = size + 4 * shape.reduce(1, *)
      entries.append("\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(size),\(end)]}")
      size = end
    }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    return length + header + [UInt8](repeating: 0, count: size)
  }

  private func writeScript(_ name: String, _ text: String) throws {
    chmod(try folder.write(name, "#!/bin/bash\n\(text)\n"), 0o755)
  }

  /// Writes the commands as a script, and gives back its path.
  func write(_ commands: [Page.Command]) throws -> String {
    var script = """
      # No display, and no job.
      unset DISPLAY WAYLAND_DISPLAY SSH_CONNECTION ${!SLURM_@}
      export LOCKSTEP_TEST_SETTING
      end() {
        local jobs
        jobs=$(jobs -p)
        [[ ! $jobs ]] || kill $jobs 2>/dev/null || true
        wait
      }
      trap end EXIT
      # Until what has just been started in the background trains, or waits for jobs.
      answers() {
        local turn socket
        for ((turn = 0; turn < 1200; turn++)); do
          for socket in checkpoints/control.sock checkpoints/*/control.sock; do
            [[ $socket -nt ../begun ]] || continue
            if curl -s --unix-socket "$socket" http://localhost/v1/status | grep -Eq '"mode":"serve"|"step":[1-9]'; then
              return
            fi
          done
          sleep 0.1
        done
        echo "nothing answers that was started in the background" >&2
        return 1
      }
      set -e

      """
    for command in commands {
      let text = command.text.replacing("8080", with: "\(port)")
      script += "echo \"== \(command.place), after $SECONDS s\" >&2\n"
      script += "LOCKSTEP_TEST_SETTING=training.\(command.isInBackground ? "epochs=100000" : "maximumSteps=10")\n"
      script += command.isInBackground ? "touch ../begun\n\(text)\nanswers\n" : "\(text)\n"
    }
    return try folder.write("page.sh", script)
  }
}
