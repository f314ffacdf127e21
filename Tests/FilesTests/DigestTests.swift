import Files
import Testing

@Suite struct DigestTests {
  /// The examples of FIPS 180-4.
  @Test func knownDigests() {
    var million = Digest()
    for _ in 0..<1000 { million.update(String(repeating: "a", count: 1000)) }
    #expect(million.hex() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    var abc = Digest()
    #expect(abc.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    abc.update("a")
    abc.update("")
    abc.update("bc")
    #expect(abc.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(abc.finish() == Digest.of("abc") && abc.finish() == abc.finish())
    #expect(Array("abc".utf8).withUnsafeBytes { Digest.of($0) } == Digest.of("abc"))
    #expect(Digest.of(UnsafeRawBufferPointer(start: nil, count: 0)) == Digest().finish())
  }

  @Test func aCopyGoesItsOwnWay() {
    var one = Digest()
    one.update("a")
    var other = one
    other.update("b")
    #expect(one.finish() == Digest.of("a") && other.finish() == Digest.of("ab"))
    one.update("bc")
    #expect(one.finish() == Digest.of("abc") && other.finish() == Digest.of("ab"))
  }

  @Test func digestsAreCompared() {
    let digest = Digest.of("a")
    #expect(Digest.areSame(digest, Digest.of("a")))
    for index in [0, 31] {
      var other = digest
      other[index] ^= 1
      #expect(!Digest.areSame(digest, other))
    }
    #expect(!Digest.areSame(digest, Array(digest.dropLast())))
  }
}
