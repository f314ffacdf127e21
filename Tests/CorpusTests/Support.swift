import Files
import Glibc
import Testing

@testable import Corpus

/// A folder for one test, gone with it.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = "/tmp/corpus-tests-\(getpid())-\(UInt64.random(in: .min ... .max))"
    try FileSystem.createDirectory(path)
  }

  deinit { TemporaryFolder.remove(path) }

  /// Writes a file, and gives back its path.
  @discardableResult
  func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let path = "\(path)/\(name)"
    try FileSystem.createDirectory(FileSystem.parent(of: path))
    let file = try OutputFile(path)
    try file.write(bytes)
    try file.finish()
    return path
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String { try write(name, text.utf8) }

  private static func remove(_ path: String) {
    for name in (try? FileSystem.list(path)) ?? [] { remove("\(path)/\(name)") }
    if unlink(path) != 0 { rmdir(path) }
  }
}

extension TemporaryFolder {
  /// A configuration that cuts one text by the usual fractions and keeps its tokens in this folder.
  func configuration(
    text: [String] = [], tokenizer: TokenizerKind = .words,
    _ change: (inout CorpusConfiguration) -> Void = { _ in }
  ) -> CorpusConfiguration {
    var configuration = CorpusConfiguration(
      text: PathList(text), cache: "\(path)/cache", tokenizer: tokenizer)
    change(&configuration)
    return configuration
  }
}

extension TokenReader {
  /// All tokens.
  func all() throws -> [Int32] {
    var tokens = [Int32](repeating: -7, count: count)
    try tokens.withUnsafeMutableBufferPointer { try copy(0..<count, into: $0) }
    return tokens
  }
}

/// The error a body throws, as text; fails the test if it throws none.
func message(_ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) -> String {
  do {
    try body()
    Issue.record("expected an error", sourceLocation: sourceLocation)
    return ""
  } catch {
    return "\(error)"
  }
}

/// Expects that an error says all of the given things.
func expectError(
  _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation, from body: () throws -> Void
) {
  let message = message(body, sourceLocation: sourceLocation)
  for part in parts {
    #expect(message.contains(part), "\"\(part)\" in: \(message)", sourceLocation: sourceLocation)
  }
}
