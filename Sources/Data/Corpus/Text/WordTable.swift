/// Byte strings numbered from 0 in the order they were added, found again by their bytes: an open-addressing
/// hash table over one arena, so that a word costs its bytes and a few more, and no allocation of its own.
public struct WordTable: Sendable {
  private var arena: [UInt8] = []
  /// `starts[id]..<starts[id + 1]` is where a word lies in the arena.
  private var starts: [Int] = [0]
  /// A power of two of them, never more than half full.
  private var slots = [Slot](repeating: .empty, count: 1 << 10)

  private struct Slot {
    var hash: UInt32
    /// -1 in a slot that is free.
    var id: Int32

    static let empty = Slot(hash: 0, id: -1)
  }

  public init() {}

  public var count: Int { starts.count - 1 }

  /// The bytes of word `id`.
  public subscript(id: Int) -> ArraySlice<UInt8> { arena[starts[id]..<starts[id + 1]] }

  /// The number of a word, or nil if it was never added.
  @inline(__always)
  public func id(of word: UnsafeRawBufferPointer) -> Int32? {
    let slot = slots[slot(of: word, hash: hash(word))]
    return slot.id >= 0 ? slot.id : nil
  }

  /// The number of a word, which is added if it is new.
  @inline(__always)
  public mutating func insert(_ word: UnsafeRawBufferPointer) -> Int32 {
    let hash = hash(word)
    let index = slot(of: word, hash: hash)
    if slots[index].id >= 0 { return slots[index].id }
    return add(word, hash: hash, at: index)
  }

  /// The slot that holds a word, or the free one where it belongs.
  @inline(__always)
  private func slot(of word: UnsafeRawBufferPointer, hash: UInt32) -> Int {
    let mask = slots.count - 1
    var index = Int(hash) & mask
    while slots[index].id >= 0 {
      if slots[index].hash == hash && isEqual(Int(slots[index].id), word) { return index }
      index = (index + 1) & mask
    }
    return index
  }

  @inline(__always)
  private func isEqual(_ id: Int, _ word: UnsafeRawBufferPointer) -> Bool {
    let start = starts[id]
    guard starts[id + 1] - start == word.count else { return false }
    return arena.withUnsafeBytes { arena in
      for offset in 0..<word.count where arena[start + offset] != word[offset] { return false }
      return true
    }
  }

  @inline(never)
  private mutating func add(_ word: UnsafeRawBufferPointer, hash: UInt32, at index: Int) -> Int32 {
    let id = Int32(count)
    arena.append(contentsOf: word)
    starts.append(arena.count)
    slots[index] = Slot(hash: hash, id: id)
    if count * 2 > slots.count { grow() }
    return id
  }

  private mutating func grow() {
    let old = slots
    slots = [Slot](repeating: .empty, count: old.count * 2)
    let mask = slots.count - 1
    for slot in old where slot.id >= 0 {
      var index = Int(slot.hash) & mask
      while slots[index].id >= 0 { index = (index + 1) & mask }
      slots[index] = slot
    }
  }

  /// FNV-1a, folded to 32 bits.
  @inline(__always)
  private func hash(_ word: UnsafeRawBufferPointer) -> UInt32 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in word { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
  }
}

extension WordTable: Equatable {
  /// Equal: the same words in the same order.
  public static func == (left: WordTable, right: WordTable) -> Bool {
    left.starts == right.starts && left.arena == right.arena
  }
}
