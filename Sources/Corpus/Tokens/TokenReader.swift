/// The tokens of one part of a prepared corpus. A token file is mapped, and checked whole, when the first of
/// its tokens is asked for; it is unmapped with the reader. Every token read is below the vocabulary's size.
public final class TokenReader: TokenSource {
  public let count: Int

  private let directory: String
  private let vocabularySize: Int
  private let shards: [CorpusManifest.Shard]
  /// Where each shard begins in the part.
  private let starts: [Int]
  private var files: [TokenFile?]

  init(directory: String, part: CorpusManifest.Part, vocabularySize: Int) {
    self.directory = directory
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
      try file(shard).copy(next - starts[shard]..<end - starts[shard], into: rest)
      next = end
    }
  }

  /// Maps and checks the token files that hold these tokens. Throws `CorpusError`.
  public func verify(_ range: Range<Int>) throws {
    for shard in shards.indices
    where !range.isEmpty && starts[shard] < range.upperBound && range.lowerBound < starts[shard] + shards[shard].tokens
    {
      _ = try file(shard)
    }
  }

  /// How many token files have been mapped so far.
  var mappedFiles: Int { files.count { $0 != nil } }

  private func file(_ shard: Int) throws -> TokenFile {
    if let file = files[shard] { return file }
    let file = try TokenFile(directory: directory, shard: shards[shard], vocabularySize: vocabularySize)
    files[shard] = file
    return file
  }
}
