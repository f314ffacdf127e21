import Files

extension MappedFile {
  /// Maps a file for as long as `body` looks at its bytes.
  static func withBytes<Result>(
    of path: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let file = try MappedFile(path)
    return try withExtendedLifetime(file) { try body(file.bytes) }
  }
}
