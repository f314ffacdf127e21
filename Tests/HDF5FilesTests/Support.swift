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

/// SplitMix64 (Steele, Lea, Flood 2014): a seed gives the same test again.
struct SeededRandom: RandomNumberGenerator {
  var state: UInt64

  init(seed: Int) { state = UInt64(seed) }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
