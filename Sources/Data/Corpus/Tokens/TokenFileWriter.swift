import Files

/// Writes the tokens of one part into its shards, which are equal stretches of it: the number of tokens is
/// known before the first is written.
final class TokenFileWriter {
  private let directory: String
  private let part: CorpusPart
  private let total: Int
  private let shardCount: Int
  private let width: Int
  private let permissions: TextPermissions

  private var file: OutputFile?
  private var digest = Digest()
  private var remainingInShard = 0
  private var narrow: [UInt8] = []
  private var shards: [CorpusManifest.Shard] = []

  private(set) var written = 0

  init(
    directory: String, part: CorpusPart, tokens: Int, shards: Int, vocabularySize: Int,
    permissions: TextPermissions = .all
  ) {
    self.directory = directory
    self.part = part
    total = tokens
    shardCount = min(shards, tokens)
    width = TokenFormat.width(vocabularySize: vocabularySize)
    self.permissions = permissions
  }

  func write(_ tokens: UnsafeBufferPointer<Int32>) throws {
    var rest = tokens[...]
    while !rest.isEmpty {
      if file == nil { try openShard() }
      let now = rest.prefix(remainingInShard)
      switch width {
      case 1: try write(now, as: UInt8.self)
      case 2: try write(now, as: UInt16.self)
      default: try write(now, as: UInt32.self)
      }
      written += now.count
      remainingInShard -= now.count
      rest = rest.dropFirst(now.count)
      if remainingInShard == 0 { try closeShard() }
    }
  }

  /// The shards, when all tokens were written.
  func finish() -> [CorpusManifest.Shard] {
    precondition(written == total, "\(written) of \(total) tokens were written")
    return shards
  }

  private func openShard() throws {
    precondition(written < total, "more than \(total) tokens were written")
    let name = "\(part.rawValue)-\(shards.count.digits(5)).tokens"
    remainingInShard = evenChunk(shards.count, of: shardCount, in: total).count
    shards.append(CorpusManifest.Shard(file: name, tokens: remainingInShard, sha256: ""))
    digest = Digest()
    file = try OutputFile("\(directory)/\(name)", permissions: permissions.file)
    try TokenFormat(width: width, tokens: remainingInShard).header.withUnsafeBytes { try write($0) }
  }

  private func closeShard() throws {
    try file?.finish()
    file = nil
    shards[shards.count - 1].sha256 = digest.hex()
  }

  private func write<Width: FixedWidthInteger>(
    _ tokens: Slice<UnsafeBufferPointer<Int32>>, as _: Width.Type
  ) throws {
    let size = tokens.count * MemoryLayout<Width>.size
    if narrow.count < size { narrow = [UInt8](repeating: 0, count: size) }
    try narrow.withUnsafeMutableBytes { bytes in
      let output = bytes.bindMemory(to: Width.self)
      let input = UnsafeBufferPointer(rebasing: tokens)
      for index in input.indices { output[index] = Width(truncatingIfNeeded: input[index]).littleEndian }
      try write(UnsafeRawBufferPointer(rebasing: bytes[..<size]))
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws {
    digest.update(bytes)
    try file?.write(bytes)
  }
}
