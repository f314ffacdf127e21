import CCrypto

/// SHA-256, fed piece by piece.
public struct Digest {
  private var state = State()

  public init() {}

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    // A copy of this value goes its own way.
    if !isKnownUniquelyReferenced(&state) { state = State(state) }
    state.update(bytes)
  }

  public mutating func update(_ text: String) {
    var text = text
    text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
  }

  /// The 32 bytes.
  public func finish() -> [UInt8] { State(state).end() }

  /// The 32 bytes as 64 lower-case hexadecimal digits.
  public func hex() -> String { finish().hexadecimal }

  /// Digest of one piece of memory.
  public static func of(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var digest = Digest()
    digest.update(bytes)
    return digest.finish()
  }

  /// Digest of a text in UTF-8.
  public static func of(_ text: String) -> [UInt8] {
    var digest = Digest()
    digest.update(text)
    return digest.finish()
  }

  /// Whether two digests are the same. The time it takes tells nothing of where they differ.
  public static func areSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    one.count == other.count && CRYPTO_memcmp(one, other, one.count) == 0
  }
}

/// How far a digest is.
private final class State {
  private let context: OpaquePointer

  init() {
    context = Self.newContext()
    Self.check(EVP_DigestInit_ex(context, EVP_sha256(), nil))
  }

  init(_ other: State) {
    context = Self.newContext()
    Self.check(EVP_MD_CTX_copy_ex(context, other.context))
  }

  deinit { EVP_MD_CTX_free(context) }

  func update(_ bytes: UnsafeRawBufferPointer) {
    Self.check(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count))
  }

  /// The 32 bytes; nothing can follow.
  func end() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { bytes, count in
      Self.check(EVP_DigestFinal_ex(context, bytes.baseAddress, nil))
      count = 32
    }
  }

  private static func newContext() -> OpaquePointer {
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("no memory for a SHA-256") }
    return context
  }

  /// Only a want of memory, or a libcrypto without SHA-256, makes these calls fail.
  private static func check(_ result: CInt) { precondition(result == 1, "libcrypto cannot compute a SHA-256") }
}
