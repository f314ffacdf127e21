import Foundation
import Glibc
import TestSupport
import Testing

@testable import Corpus
@testable import Files

/// Sources that a configuration names: which files it reads, which warnings it gives, and which permissions its tokens have.
@Suite struct SourceTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let lines = (0..<100).map { "line \($0 % 7)\n" }.joined()

  private func warnings(_ configuration: CorpusConfiguration) throws -> [String] {
    var warnings: [String] = []
    let corpus = try CorpusPreparation.prepare(configuration, into: folder.file("made")) { _ in
    } warn: {
      warnings.append($0)
    }
    return warnings + corpus.manifest.warnings
  }

  // MARK: Folders

  @Test func foldersAreReadWithoutLeftovers() throws {
    let names = ["b.txt", "a.txt", "#c", "~d", "e~f"]
    let leftovers = ["a.txt~", ".a.txt.swp", "b.txt.swp", "b.txt.swo", "#a.txt#", ".#a.txt", ".hidden", "a.logprob"]
    for name in names + leftovers { try folder.write("texts/\(name)", Self.lines) }
    symlink("nowhere", folder.file("texts/.#lock"))
    for name in ["one", "two", ".git"] { try folder.write("texts/\(name)/c.txt", "no") }
    let configuration = folder.configuration(text: [folder.file("texts")])
    let corpus = try CorpusPreparation.open(configuration)
    #expect(corpus.manifest.sources.map { FileSystem.name(of: $0.path) } == names.sorted())
    #expect(corpus.manifest.textCount == 5)
    let warnings = try warnings(configuration)
    #expect(
      warnings.count == 1
        && warnings[0].contains("texts: its 5 files are read; what is in its 2 folders (one, two) is not"))
  }

  // MARK: Texts too short

  @Test func partsWithoutTokensAreTold() throws {
    let line = try folder.write("line", "one line of words\n")
    let told = try warnings(folder.configuration(text: [line]))
    #expect(told.count == 2)
    #expect(told[0].contains("the validation part has 0 tokens") && told[0].contains("second number in corpus.split"))
    #expect(told[1].contains("the test part has 0 tokens") && told[1].contains("third number in corpus.split"))
    #expect(try warnings(folder.configuration(text: [line]) { $0.split = [1, 0, 0] }) == [])
    #expect(try warnings(folder.configuration { $0.train = PathList([line]) }) == [])
    let sixteen = try folder.write("sixteen", "0123456789abcde\n")
    let one = try warnings(
      folder.configuration(text: [sixteen], tokenizer: .bytes) { $0.split = [14 / 16, 1 / 16, 1 / 16] })
    #expect(one.count == 2 && one[0].contains("validation part has 1 token,"))
  }

  @Test(arguments: TokenizerKind.allCases)
  func namedTextsWithoutTokensAreRefused(kind: TokenizerKind) throws {
    let train = try folder.write("train", Self.lines)
    let empty = try folder.write("empty", "")
    let one = try folder.write("one", "1")
    for (path, tokens) in [(empty, 0), (one, 1)] {
      expectError("corpus.validation", "at least 2 tokens", "found \(tokens) in \(path)", "leave corpus.validation out")
      {
        _ = try warnings(
          folder.configuration(tokenizer: kind) { ($0.train, $0.validation) = (PathList([train]), PathList([path])) })
      }
      expectError("corpus.test", "found \(tokens) in \(path)") {
        _ = try warnings(
          folder.configuration(tokenizer: kind) { ($0.train, $0.test) = (PathList([train]), PathList([path])) })
      }
    }
    #expect(!FileSystem.exists(folder.file("made")))
    // Two files that have enough together.
    #expect(
      try warnings(
        folder.configuration(tokenizer: kind) {
          ($0.train, $0.test) = (PathList([train]), PathList([one, empty, one]))
        }) == [])
  }

  // MARK: Words that are unknown

  @Test func textsMostlyUnknownAreTold() throws {
    let text = try folder.write("text", Self.lines)  // of three tokens a line two are "line" and its end
    let words = try folder.write("words", "line\n")
    #expect(try warnings(folder.configuration(text: [text]) { $0.vocabulary = words }) == [])
    let others = try folder.write("others", "0\n1\n2\n")
    let told = try warnings(folder.configuration(text: [text]) { $0.vocabulary = others })
    #expect(told.count == 3)
    #expect(told[0].contains("of the 270 tokens of the training part are <unk>, more than a third"))
    #expect(told[1].contains("validation part") && told[2].contains("test part"))
    #expect([0, 1, 2, 3, 4].map { Vocabulary.isMostlyUnknown($0, of: 9) } == [false, false, false, false, true])
    #expect(!Vocabulary.isMostlyUnknown(0, of: 0) && Vocabulary.isMostlyUnknown(1, of: 1))
    expectError("corpus.minimumCount", "seen 1000 times") {
      _ = try warnings(folder.configuration(text: [text]) { $0.minimumCount = 1000 })
    }
  }

  @Test func longWordsAreUnknownAndTold() throws {
    let long = String(repeating: "x", count: 80_000)
    let text = try folder.write("text", Self.lines + "a \(long) b\n\(long)\(long)\n" + Self.lines + long)
    let told = try warnings(folder.configuration(text: [text]) { $0.split = [1, 0, 0] })
    #expect(
      told == ["3 words have more than 65536 bytes and are read as <unk>; the first is at \(text), line 101, byte 702"])
    let corpus = try PreparedCorpus(directory: folder.file("made"))
    #expect(corpus.manifest.parts.train.unknownTokens == 3)
    #expect(corpus.manifest.parts.train.tokens == 600 + 7)
    #expect(corpus.vocabulary.entries.count == 2 + 1 + 7 + 2)
    let one = try folder.write("one", "\(Self.lines)\(long)")
    #expect(
      try warnings(folder.configuration(text: [one]))[0].hasPrefix(
        "1 word has more than 65536 bytes and is read as <unk>; it is at"))
    // The bound itself is none too long.
    let bound = try folder.write(
      "bound", String(repeating: "x", count: 1 << 16) + " " + String(repeating: "y", count: 1 << 16 + 1))
    #expect(try warnings(folder.configuration(text: [bound]) { $0.split = [1, 0, 0] }).count == 2)
    #expect(try PreparedCorpus(directory: folder.file("made")).vocabulary.count == 3)
  }

  // MARK: Who may read it

  /// What is taken from the permissions of new files here; asked so, it stays as it is.
  private func userMask() throws -> mode_t {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Umask:") })
    return try #require(mode_t(line.split(separator: "\t")[1], radix: 8))
  }

  private func modes(_ directory: String) throws -> Set<mode_t> {
    Set(try FileSystem.list(directory).map { try FileSystem.status("\(directory)/\($0)").permissions })
  }

  @Test func tokensAreAsPrivateAsTheirText() throws {
    let text = try folder.write("text", Self.lines)
    let words = try folder.write("words", "line\n1\n")
    let mask = try userMask()
    func permissions(of text: String, _ mode: mode_t) throws -> (files: Set<mode_t>, folder: mode_t) {
      try FileSystem.setPermissions(mode, of: text)
      let corpus = try CorpusPreparation.open(
        folder.configuration(text: [folder.file("text")]) { $0.vocabulary = words })
      return (try modes(corpus.directory), try FileSystem.status(corpus.directory).permissions)
    }
    try FileSystem.setPermissions(0o644, of: words)
    // The umask of who runs the tests takes more away, but never from the owner.
    var (files, directory) = try permissions(of: text, 0o600)
    #expect(files == [0o600] && directory == 0o700)
    (files, directory) = try permissions(of: text, 0o400)
    #expect(files == [0o600] && directory == 0o700)
    try FileSystem.setPermissions(0o644, of: text)
    try folder.write("text", Self.lines + Self.lines)  // made anew, as open as the text
    (files, directory) = try permissions(of: text, 0o644)
    #expect(files == [0o644 & ~mask] && directory == 0o777 & ~mask)
    // Closed later, it closes what was made of it.
    (files, directory) = try permissions(of: text, 0o600)
    #expect(files == [0o600] && directory == 0o700)
    (files, directory) = try permissions(of: text, 0o644)
    #expect(files == [0o600])
    // A list of words is a text too.
    try folder.write("text", Self.lines)
    (files, directory) = try permissions(of: words, 0o600)
    #expect(files == [0o600] && directory == 0o700)
  }

  @Test func groupsHaveNoMoreThanTheyHad() {
    func permissions(_ mode: mode_t, of group: gid_t, for other: gid_t) -> (file: mode_t, folder: mode_t) {
      let status = FileStatus(
        size: 0, modified: 0, isDirectory: false, isRegular: true, permissions: mode, group: group)
      let permissions = TextPermissions(of: [status], group: other)
      return (permissions.file, permissions.folder)
    }
    #expect(permissions(0o640, of: 7, for: 7) == (0o640, 0o770))
    #expect(permissions(0o640, of: 7, for: 8) == (0o600, 0o700))
    #expect(permissions(0o604, of: 7, for: 8) == (0o644, 0o777))
    #expect(permissions(0o604, of: 7, for: 7) == (0o604, 0o707))
    #expect(permissions(0o664, of: 7, for: 7) == (0o664, 0o777))
    #expect(permissions(0o000, of: 7, for: 7) == (0o600, 0o700))
  }

  @Test func tokensThatWereSentAreAsPrivate() throws {
    let mask = try userMask()
    let text = try folder.write("text", Self.lines)
    for (mode, file, directory) in [(0o600, 0o600, 0o700), (0o644, 0o644, 0o777)] as [(mode_t, mode_t, mode_t)] {
      try FileSystem.setPermissions(mode, of: text)
      let corpus = try CorpusPreparation.prepare(folder.configuration(text: [text]), into: folder.file("made"))
      let contents = try CorpusContents(encoded: CorpusContents(of: corpus).encoded())
      let cache = try CorpusCache(folder.file("sent-\(mode)"), contents, needed: nil)
      for message in contents.messages(for: cache.missing) {
        try cache.write(contents.message(message, from: corpus.directory), message)
      }
      let sent = try cache.finish().directory
      #expect(try modes(sent) == [file & ~mask])
      #expect(try FileSystem.status(sent).permissions == directory & ~mask)
    }
  }
}
