import Foundation
import TestSupport
import Testing

/// What stands in the repository beside the code.
@Suite struct RepositoryTests {
  @Test func sourcesAreFormatted() throws {
    let outcome = try Programs.run(
      "swift",
      [
        "format", "lint", "--strict", "--parallel", "--configuration", ".swift-format", "--recursive", "Package.swift",
        "Sources", "Tests",
      ],
      in: Programs.repository, seconds: 300)
    #expect(outcome.status == 0, "\(outcome.error.prefix(4000))")
  }

  @Test func everyConfigurationIsValidAndEveryKeyDescribed() throws {
    let folder = Programs.repository + "/configs"
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    for name in ["default", "tiny-shakespeare", "ptb-small", "ptb-medium", "ptb-large", "ptb-window"] {
      #expect(names.contains("\(name).yaml"))
    }
    let readme = try String(contentsOfFile: folder + "/README.md", encoding: .utf8)
    for name in names where name.hasSuffix(".yaml") {
      // A text that is not there is the first thing to fail; before it, the configuration is printed.
      let empty = try TemporaryFolder()
      let outcome = try Programs.lockstep(
        "train", "\(folder)/\(name)", "--set", "training.epochs=0", "--set", "output.directory=\(empty.path)", "--set",
        "corpus.cache=\(empty.path)", "--set", "generation.length=1", in: empty.path)
      let printed = outcome.lines.drop { $0 != "configuration" }.dropFirst()
      #expect(printed.first == "  name: \(name.dropLast(5))", "\(outcome.output)\(outcome.error)")
      for line in printed {
        guard line.hasPrefix("  "), let colon = line.firstIndex(of: ":") else { break }
        let key = line[..<colon].trimmingCharacters(in: .whitespaces)
        #expect(
          readme.contains("`\(key)`") || readme.contains(".\(key)`") || readme.contains("`\(key)."),
          "\(key) is not in configs/README.md")
      }
    }
  }

  /// The run that `launch/train` starts, to its end.
  @Test func theDefaultRunComesCloseToItsSource() throws {
    let folder = try TemporaryFolder()
    let outcome = try Programs.lockstepd(
      ranks: 2, ["run", "\(Programs.repository)/configs/default.yaml", "--log-format", "json"], in: folder.path,
      seconds: 1500)
    #expect(outcome.status == 0, "\(outcome.error)")
    let finish = try #require(outcome.events("finished").first)
    let reached = try #require(finish["validationPerplexity"] as? Double)
    let source = try #require(finish["sourcePerplexity"] as? Double)
    #expect(reached > source && reached < 1.05 * source, "\(reached), the source's own \(source)")
    let sample = try #require(outcome.events("sample").first?["text"] as? String)
    #expect(sample.split(separator: "\n").count >= 3)
  }
}
