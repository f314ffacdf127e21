/// Random numbers as a function of their purpose, not of earlier draws: Philox4x32-10
/// (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// A stream is named by a seed and a purpose; within it, `block(x, y, z)` gives four words. A dropout mask
/// made this way is the same on any number of ranks, and there is no generator state to save.
public struct CounterRandom: Sendable {
  /// What numbers are for; part of the key, so that two uses never share numbers.
  public enum Purpose: UInt32, Sendable {
    case initialization = 1
    case dropout
    case sampling
    case benchmark
  }

  private let key: SIMD2<UInt32>
  private let purpose: UInt32

  public init(seed: UInt64, purpose: Purpose) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.purpose = purpose.rawValue
  }

  /// Four random words for the counter (x, y, z).
  @inline(__always)
  public func block(_ x: UInt32, _ y: UInt32, _ z: UInt32) -> SIMD4<UInt32> {
    Self.philox(counter: SIMD4(x, y, z, purpose), key: key)
  }

  /// Four floats in [0, 1), each a multiple of 2^-24.
  @inline(__always)
  public func uniform(_ x: UInt32, _ y: UInt32, _ z: UInt32) -> SIMD4<Float> {
    SIMD4<Float>(block(x, y, z) &>> 8) * 0x1p-24
  }

  /// One double in [0, 1), a multiple of 2^-53.
  public func unit(_ x: UInt32, _ y: UInt32, _ z: UInt32) -> Double {
    let words = block(x, y, z)
    return Double((UInt64(words[0]) << 32 | UInt64(words[1])) >> 11) * 0x1p-53
  }

  /// Philox4x32 with ten rounds.
  @inline(__always)
  static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let product0 = UInt64(c0) &* 0xD251_1F53
      let product1 = UInt64(c2) &* 0xCD9E_8D57
      (c0, c1, c2, c3) = (
        UInt32(truncatingIfNeeded: product1 >> 32) ^ c1 ^ k0,
        UInt32(truncatingIfNeeded: product1),
        UInt32(truncatingIfNeeded: product0 >> 32) ^ c3 ^ k1,
        UInt32(truncatingIfNeeded: product0)
      )
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return SIMD4(c0, c1, c2, c3)
  }
}
