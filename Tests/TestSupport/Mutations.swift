import Foundation

/// Has a reader survive damaged files: calls `body` so many times, or as often as `LOCKSTEP_MUTATIONS` says, with what
/// damages them; the seed `LOCKSTEP_SEED` (1) decides how.
public func forEachMutation(
  count: Int, _ body: (_ number: Int, _ mutator: inout Mutator) throws -> Void
) rethrows {
  func setting(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }
  var mutator = Mutator(seed: setting("LOCKSTEP_SEED") ?? 1)
  for number in 0..<(setting("LOCKSTEP_MUTATIONS") ?? count) { try body(number, &mutator) }
}

/// Makes damaged copies of a file, or of a part of one, as accidents do and as someone would who knows where it hurts.
/// It knows no format: the numbers it changes are runs of digits, for headers that are text, and 4 or 8 bytes.
public struct Mutator {
  public var random: SeededRandom

  /// Where code that counts bytes goes wrong: around 0, and where 32 and 64 bits end.
  private static let integers: [UInt64] = [
    0, 1, 2, 7, 8, 255, 256, 1 << 16, 1 << 31 - 1, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 60, 1 << 62, 1 << 63 - 1,
    1 << 63, .max - 7, .max,
  ]
  private static let texts = [
    "-1", "-0", "00", "0.5", "1e3", "1e999", "18446744073709551616", "99999999999999999999999", "null", "\"", "{}",
    "[]", "", "NaN",
  ]

  public init(seed: Int) { random = SeededRandom(seed: seed) }

  /// A copy with one to three changes. Half of them fall on its first quarter, where headers are.
  public mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...3, using: &random) { change(&bytes) }
    return bytes
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    let place = place(in: bytes)
    let stretch = place..<min(bytes.count, place + .random(in: 1...24, using: &random))
    switch Int.random(in: 0..<10, using: &random) {
    case 0 where !stretch.isEmpty: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
    case 1 where !stretch.isEmpty:
      let bounds: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, .random(in: 0...255, using: &random)]
      bytes[place] = bounds.randomElement(using: &random) ?? 0
    case 2: bytes.insert(contentsOf: stretch.map { _ in .random(in: 0...255, using: &random) }, at: place)
    case 3: bytes.removeSubrange(stretch)
    case 4: bytes.removeSubrange(place...)
    case 5: bytes.insert(contentsOf: bytes[stretch], at: self.place(in: bytes))
    case 6 where !stretch.isEmpty: bytes.insert(contentsOf: repeatElement(bytes[place], count: 1 << 12), at: place)
    case 7: writeInteger(over: &bytes, at: place)
    default: changeNumber(in: &bytes, after: place)
    }
  }

  private mutating func place(in bytes: [UInt8]) -> Int {
    .random(in: 0...(Bool.random(using: &random) ? bytes.count : bytes.count / 4), using: &random)
  }

  private mutating func integer() -> UInt64 { Self.integers.randomElement(using: &random) ?? 0 }

  /// 4 or 8 bytes, little-endian; where they would begin a file, at times exactly there.
  private mutating func writeInteger(over bytes: inout [UInt8], at place: Int) {
    let start = Bool.random(using: &random) ? 0 : place
    let size = Bool.random(using: &random) ? 4 : 8
    let integer = integer()
    for (offset, index) in (start..<min(bytes.count, start + size)).enumerated() {
      bytes[index] = UInt8(truncatingIfNeeded: integer >> UInt64(8 * offset))
    }
  }

  /// The next run of digits becomes another number, or a number off by a little, or something that is none.
  private mutating func changeNumber(in bytes: inout [UInt8], after place: Int) {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let start = bytes[place...].firstIndex(where: digits.contains) else { return }
    let end = bytes[start...].firstIndex { !digits.contains($0) } ?? bytes.count
    let number = UInt64(String(decoding: bytes[start..<end], as: UTF8.self)) ?? 0
    let text =
      switch Int.random(in: 0..<4, using: &random) {
      case 0: "\(number &+ UInt64.random(in: 1...8, using: &random))"
      case 1: "\(number &- UInt64.random(in: 1...8, using: &random))"
      case 2: "\(integer())"
      default: Self.texts.randomElement(using: &random) ?? ""
      }
    bytes.replaceSubrange(start..<end, with: text.utf8)
  }
}
