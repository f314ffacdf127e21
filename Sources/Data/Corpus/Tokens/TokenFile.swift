import Files

/// One token file, mapped, whose size, header, digest and tokens have been checked.
struct TokenFile {
  private let file: MappedFile
  private let format: TokenFormat
  private let vocabularySize: Int

  /// Throws `FileError`, and `CorpusError` for a file that is not what the manifest says. Of one that is not whole only
  /// size and header are checked. `meanwhile` is called every few megabytes; what it throws ends the check.
  init(
    directory: String, shard: CorpusManifest.Shard, vocabularySize: Int, isWhole: Bool = true,
    _ meanwhile: () throws -> Void = {}
  ) throws {
    self.vocabularySize = vocabularySize
    file = try MappedFile("\(directory)/\(shard.file)")
    format = TokenFormat(
      width: TokenFormat.width(vocabularySize: vocabularySize), tokens: shard.tokens)
    try require("bytes", format.fileSize, file.bytes.count)
    guard file.bytes.starts(with: format.header) else {
      throw damaged("expected a header for \(format.tokens) tokens of \(format.width) bytes, found another")
    }
    guard isWhole else { return }
    let (digest, largest) = try survey(meanwhile)
    try require("SHA-256", shard.sha256, digest)
    try require(largest: largest)
  }

  private func require(largest: Int) throws {
    guard largest < vocabularySize else {
      throw damaged("expected tokens below \(vocabularySize), found \(largest)")
    }
  }

  /// Checks a piece of the tokens, given by its bytes in the file.
  func verify(_ bytes: Range<Int>, digest: ArraySlice<UInt8>) throws {
    guard Digest.of(UnsafeRawBufferPointer(rebasing: file.bytes[bytes]))[...] == digest else {
      throw CorpusError(
        file.path,
        "expected the tokens that were sent, found others in bytes \(bytes.lowerBound) to \(bytes.upperBound)",
        remedy: "start again: they are sent again")
    }
    try require(largest: largest(in: bytes))
    file.release(bytes)
  }

  private func largest(in bytes: Range<Int>) -> Int {
    let first = (bytes.lowerBound - TokenFormat.headerSize) / format.width
    var largest = -1
    forEach(in: first..<first + bytes.count / format.width) { _, token in largest = max(largest, Int(token)) }
    return largest
  }

  /// The digest of the whole file, and its largest token (-1 without any), in one pass.
  private func survey(_ meanwhile: () throws -> Void) throws -> (digest: String, largest: Int) {
    var digest = Digest()
    var largest = -1
    let step = TextStretch.pieceSize
    digest.update(UnsafeRawBufferPointer(rebasing: file.bytes[..<TokenFormat.headerSize]))
    for start in stride(from: TokenFormat.headerSize, to: file.bytes.count, by: step) {
      let piece = start..<min(start + step, file.bytes.count)
      digest.update(UnsafeRawBufferPointer(rebasing: file.bytes[piece]))
      largest = max(largest, self.largest(in: piece))
      file.release(piece)
      try meanwhile()
    }
    return (digest.hex(), largest)
  }

  /// Copies the tokens of a range to the front of `output`.
  func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) {
    precondition(range.upperBound <= format.tokens && range.count <= output.count)
    forEach(in: range) { index, token in output[index] = Int32(truncatingIfNeeded: token) }
  }

  /// Calls `body` with each token of a range and its place in the range.
  @inline(__always)
  private func forEach(in range: Range<Int>, _ body: (Int, UInt32) -> Void) {
    switch format.width {
    case 1: forEach(in: range, as: UInt8.self, body)
    case 2: forEach(in: range, as: UInt16.self, body)
    default: forEach(in: range, as: UInt32.self, body)
    }
  }

  @inline(__always)
  private func forEach<Width: FixedWidthInteger & UnsignedInteger>(
    in range: Range<Int>, as _: Width.Type, _ body: (Int, UInt32) -> Void
  ) {
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[TokenFormat.headerSize...])
    for index in 0..<range.count {
      let offset = (range.lowerBound + index) * MemoryLayout<Width>.size
      body(
        index,
        UInt32(truncatingIfNeeded: Width(littleEndian: bytes.load(fromByteOffset: offset, as: Width.self))))
    }
  }

  private func require<Value: Equatable>(_ what: String, _ expected: Value, _ found: Value) throws {
    if expected != found { throw damaged("expected \(what) \(expected), found \(found)") }
  }

  private func damaged(_ problem: String) -> CorpusError {
    CorpusError(file.path, problem, remedy: CorpusManifest.remedy)
  }
}
