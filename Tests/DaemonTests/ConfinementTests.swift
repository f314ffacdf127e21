import Files
import Foundation
import TestSupport
import Testing
import Training

@testable import Daemon

/// What the runs of jobs may name.
@Suite struct ConfinementTests {
  private let folder: TemporaryFolder
  private let confinement: Confinement

  /// runs is served and data named; private is neither. Tests are started in the repository.
  init() throws {
    let folder = try TemporaryFolder()
    for name in ["runs/sub", "data", "data-2", "private/key"] { try FileSystem.createDirectory(folder.file(name)) }
    for name in ["runs/a.txt", "data/b.txt", "data-2/c.txt", "private/key/secret"] { try folder.write(name, "text\n") }
    func link(_ path: String, to target: String) throws {
      try FileManager.default.createSymbolicLink(atPath: folder.file(path), withDestinationPath: target)
    }
    try link("runs/out", to: folder.file("private"))
    try link("runs/in", to: "../data")
    try link("runs/nowhere", to: folder.file("private/later"))
    try link("data/up", to: "..")
    try link("served", to: "runs")
    confinement = try Confinement(serving: folder.file("served"), data: [folder.file("data")])
    self.folder = folder
  }

  private func refusal(_ change: (inout RunConfiguration) -> Void) -> String? {
    var configuration = RunConfiguration()
    configuration.output.directory = folder.file("runs")
    change(&configuration)
    do {
      try confinement.check(configuration)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func whatLiesInItsFoldersMayBeNamed() {
    for path in [
      "runs", "runs/a.txt", "runs/sub/../a.txt", "served/a.txt", "data", "data/b.txt", "runs/in/b.txt", "runs/./a.txt",
      "data/up/data/b.txt", "runs/not/there/yet", "private/../data",
    ] {
      #expect(refusal { $0.corpus.text = [folder.file(path)] } == nil, "\(path)")
    }
    // Where it was started, as the paths of a configuration are meant.
    #expect(refusal { $0.corpus.text = ["configs/default.yaml", "nothing-there.txt"] } == nil)
    #expect(refusal { $0.corpus.cache = folder.file("runs/.corpora") } == nil)
  }

  @Test func whatLeadsElsewhereMayNot() {
    let paths = [
      "private/key/secret", "runs/out/key/secret", "runs/../private/key/secret", "runs/in/../private", "data-2/c.txt",
      "data/up/private", "runs/nowhere", "runs/not/../../private/key/secret", "runs/a.txt/..", "data/up",
    ]
    for path in paths.map(folder.file) + ["/etc/passwd", "../x", "/", "/proc/self/root/etc/passwd"] {
      for (key, change) in Self.names(path) {
        let found = refusal(change)
        #expect(found?.hasPrefix("\(key) is '\(path.prefix(200))'; expected a path") == true, "\(found ?? "allowed")")
        #expect(found?.contains(folder.file("runs")) == true && found?.contains("--data allows others") == true)
      }
    }
  }

  private static func names(_ path: String) -> [(String, (inout RunConfiguration) -> Void)] {
    [
      ("corpus.text", { $0.corpus.text = ["configs", path] }), ("corpus.train", { $0.corpus.train = [path] }),
      ("corpus.validation", { $0.corpus.validation = [path] }), ("corpus.test", { $0.corpus.test = [path] }),
      ("corpus.prepared", { $0.corpus.prepared = path }), ("corpus.vocabulary", { $0.corpus.vocabulary = path }),
      ("model.from", { $0.model.from = path }),
    ]
  }

  /// A folder named for reading is not written to.
  @Test func tokensAreKeptInTheDaemonsOwnFolders() {
    for path in ["data/cache", "private/cache", "runs/out/cache", "runs/in"] {
      #expect(refusal { $0.corpus.cache = folder.file(path) }?.hasPrefix("corpus.cache is '") == true, "\(path)")
    }
  }

  /// Every key that takes a path is judged: a new one has to be put among them.
  @Test func everyPathIsJudged() throws {
    var configuration = RunConfiguration()
    configuration.corpus.text = ["1"]
    configuration.corpus.train = ["2"]
    configuration.corpus.validation = ["3"]
    configuration.corpus.test = ["4"]
    configuration.corpus.prepared = "5"
    configuration.corpus.vocabulary = "6"
    configuration.model.from = "7"
    configuration.corpus.cache = "8"
    configuration.output.directory = "9"
    #expect(configuration.readPaths.map(\.path).sorted() == ["1", "2", "3", "4", "5", "6", "7"])
    #expect(configuration.writtenPaths.map(\.path) == ["8", "9"])
  }

  @Test func aFolderThatIsNotThereIsTold() {
    #expect(throws: FileError.self) { try Confinement(serving: folder.file("runs"), data: [folder.file("none")]) }
  }
}
