import Files

/// Writes a file, plain or packed as the ending of its name says: .gz, .bz2, .xz. The file is replaced whole or not at all, and
/// has the same bytes each time.
public final class PackedWriter {
  private let file: OutputFile
  private let codec: (any Codec)?
  private let packed: UnsafeMutableRawBufferPointer
  private var isFinished = false

  /// Throws `FileError`.
  public init(_ path: String) throws {
    file = try OutputFile.replacing(path)
    codec = Compression(ending: path)?.makePacker()
    packed = .allocate(byteCount: codec == nil ? 0 : 1 << 18, alignment: 64)
  }

  deinit { packed.deallocate() }

  /// Throws `FileError`.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    precondition(!isFinished, "\(file.path) is finished")
    if bytes.isEmpty { return }
    guard codec != nil else { return try file.write(bytes) }
    try pack(bytes, isLast: false)
  }

  /// Throws `FileError`.
  public func write(_ text: String) throws {
    var text = text
    try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
  }

  /// Puts the file in place; nothing can be written after. Throws `FileError`.
  public func finish() throws {
    precondition(!isFinished, "\(file.path) is finished")
    isFinished = true
    if codec != nil { try pack(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true) }
    try file.publish()
  }

  private func pack(_ bytes: UnsafeRawBufferPointer, isLast: Bool) throws {
    var rest = bytes[...]
    while true {
      // The libraries count bytes in 32 bits.
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      let result = try codec!.run(piece, into: packed, isLast: isLast)
      rest = rest.dropFirst(result.read)
      try file.write(UnsafeRawBufferPointer(rebasing: packed[..<result.written]))
      if isLast ? result.ended : rest.isEmpty { return }
    }
  }
}
