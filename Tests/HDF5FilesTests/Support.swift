import Files

func bytes(of path: String) throws -> [UInt8] {
  let file = try MappedFile(path)
  return withExtendedLifetime(file) { Array(file.bytes) }
}

func write(_ bytes: [UInt8], to path: String) throws {
  let file = try OutputFile(path)
  try file.write(bytes)
  try file.finish()
}
