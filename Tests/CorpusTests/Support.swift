import TestSupport

@testable import Corpus

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
