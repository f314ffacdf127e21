/// The tokens of one part of a prepared corpus. A token file is mapped, and checked whole (or piece by piece, where not
/// all of it may be there), when the first of its tokens is asked for; it is unmapped with the reader. Every token read is below the vocabulary's size.
public final class TokenReader: TokenSource {
  public let count: Int

  private let directory: String
  private let vocabularySize: Int
  private let shards: [CorpusManifest.Shard]
  /// Where each shard begins in the part.
  private let starts: [Int]
  private var files: [TokenFile?]
  /// Of each shard, where they are checked piece by piece.
  private var checks: [PieceCheck]?

  init(directory: String, part: CorpusManifest.Part, vocabularySize: Int, pieces: [PieceCheck]? = nil) {
    self.directory = directory
    checks = pieces
    self.vocabularySize = vocabularySize
    count = part.tokens
    shards = part.shards
    var next = 0
    starts = shards.map { shard in
      defer { next += shard.tokens }
      return next
    }
    files = shards.map { _ in nil }
  }

  /// Copies the tokens of a range to the front of `output`. Throws `CorpusError` for a token file that is
  /// missing or damaged; traps if the range goes beyond `count` or `output` is too small.
  public func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) throws {
    precondition(range.lowerBound >= 0 && range.upperBound <= count && range.count <= output.count)
    var next = range.lowerBound
    for shard in shards.indices {
      let end = min(range.upperBound, starts[shard] + shards[shard].tokens)
      if next >= end { continue }
      let rest = UnsafeMutableBufferPointer(rebasing: output[(next - range.lowerBound)...])
      let range = next - starts[shard]..<end - starts[shard]
      try file(shard, with: range).copy(range, into: rest)
      next = end
    }
  }

  /// Maps and checks the token files that hold these tokens. Throws `CorpusError`, and what `meanwhile` throws.
  public func verify(_ range: Range<Int>, meanwhile: () throws -> Void) throws {
    for shard in shards.indices
    where !range.isEmpty && starts[shard] < range.upperBound && range.lowerBound < starts[shard] + shards[shard].tokens
    {
      let own = range.clamped(to: starts[shard]..<starts[shard] + shards[shard].tokens)
      _ = try file(shard, with: own.lowerBound - starts[shard]..<own.upperBound - starts[shard], meanwhile)
    }
  }

  /// How many token files have been mapped so far.
  var mappedFiles: Int { files.count { $0 != nil } }

  /// A token file, in which these tokens have been checked.
  private func file(
    _ shard: Int, with tokens: Range<Int>, _ meanwhile: () throws -> Void = {}
  ) throws -> TokenFile {
    let file =
      try files[shard]
      ?? TokenFile(
        directory: directory, shard: shards[shard], vocabularySize: vocabularySize, isWhole: checks == nil, meanwhile)
    files[shard] = file
    try checks?[shard].require(tokens, of: file, meanwhile)
    return file
  }
}
