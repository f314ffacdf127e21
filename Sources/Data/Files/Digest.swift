import Crypto

/// SHA-256, fed piece by piece.
public struct Digest {
  private var hash = SHA256()

  public init() {}

  public mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

  public mutating func update(_ text: String) { hash.update(data: Array(text.utf8)) }

  /// The 32 bytes.
  public func finish() -> [UInt8] { Array(hash.finalize()) }

  /// The 32 bytes as 64 lower-case hexadecimal digits.
  public func hex() -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: finish().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Digest of one piece of memory.
  public static func of(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var digest = Digest()
    digest.update(bytes)
    return digest.finish()
  }
}
