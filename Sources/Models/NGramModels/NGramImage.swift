import CNGrams
import Files
import Glibc
import HDF5Files

/// The bytes of a model while they are written, in memory.
final class NGramImage {
  static let alignment = 64

  private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var count = ContainerHeader.size

  deinit { free(memory.baseAddress) }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }

  /// Room for some bytes, from a multiple of the alignment on.
  private func append(_ size: Int) -> UnsafeMutableRawBufferPointer {
    let start = (count + Self.alignment - 1) / Self.alignment * Self.alignment
    if start + size > memory.count {
      let larger = max(start + size, memory.count + memory.count / 2)
      guard let grown = realloc(memory.baseAddress, larger) else {
        fatalError("no memory for a model of \(larger) bytes")
      }
      memory = UnsafeMutableRawBufferPointer(start: grown, count: larger)
    }
    // What lies between is written too.
    memset(memory.baseAddress! + count, 0, start - count)
    count = start + size
    return UnsafeMutableRawBufferPointer(rebasing: memory[start..<count])
  }

  private func append(numbers: [Int]) {
    append(8 * numbers.count).withMemoryRebound(to: UInt64.self) {
      for (place, number) in numbers.enumerated() { $0[place] = UInt64(number).littleEndian }
    }
  }

  private func append<Number>(_ column: some Collection<Number>) {
    let room = append(column.count * MemoryLayout<Number>.stride)
    room.withMemoryRebound(to: Number.self) { _ = $0.update(fromContentsOf: column) }
  }

  private func append(_ numbers: UnsafeMutableBufferPointer<UInt32>, size: Int) {
    switch size {
    case 1: append(numbers.lazy.map { UInt8(truncatingIfNeeded: $0) })
    case 2: append(numbers.lazy.map { UInt16(truncatingIfNeeded: $0) })
    default: append(numbers)
    }
  }

  func appendText(_ text: [UInt8]) {
    append(numbers: [text.count])
    append(text)
  }

  func append(_ level: NGramTree.Level, wordSize: Int, isLast: Bool) {
    var backoffs: [Float] = []
    let codes = Column<UInt32>(isLast ? 0 : level.count)
    if !isLast {
      var numbers: [UInt32: UInt32] = [:]
      // Text has long stretches of equal backoffs.
      var (previous, code) = (Float.nan, UInt32(0))
      for (place, backoff) in level.backoffs.numbers.enumerated() {
        if backoff.bitPattern != previous.bitPattern {
          code = numbers[backoff.bitPattern] ?? UInt32(backoffs.count)
          if Int(code) == backoffs.count {
            numbers[backoff.bitPattern] = code
            backoffs.append(backoff)
          }
          previous = backoff
        }
        codes[place] = code
      }
    }
    let codeSize = backoffs.count <= 1 << 8 ? 1 : backoffs.count <= 1 << 16 ? 2 : 4
    append(numbers: [level.count, wordSize, codeSize, backoffs.count, 0])
    append(level.words.numbers, size: wordSize)
    append(level.children.numbers)
    append(level.probabilities.numbers)
    append(codes.numbers, size: codeSize)
    append(backoffs)
  }

  /// Writes the header, with the digest of all the rest.
  func close(kind: String, formatVersion: Int) {
    let data = UnsafeRawBufferPointer(rebasing: bytes[ContainerHeader.size...])
    let header = ContainerHeader(kind: kind, formatVersion: formatVersion, data: data)
    memory.copyBytes(from: header.encoded())
  }
}

/// Finds its way through the bytes of a model, which may be damaged.
struct ImageReader {
  private let bytes: UnsafeRawBufferPointer
  private let path: String
  private var next = ContainerHeader.size

  init(_ bytes: UnsafeRawBufferPointer, _ path: String) {
    self.bytes = bytes
    self.path = path
  }

  func damaged(_ problem: String) -> NGramModelError {
    NGramModelError(path, "expected an n-gram model, but \(problem)", remedy: "use another copy, or make it again")
  }

  private mutating func piece(_ count: Int, _ size: Int) throws -> UnsafeRawBufferPointer {
    let start = (next + NGramImage.alignment - 1) / NGramImage.alignment * NGramImage.alignment
    let (length, overflow) = count.multipliedReportingOverflow(by: size)
    guard !overflow, count >= 0, start <= bytes.count, length <= bytes.count - start else {
      throw damaged("it is too short for what it says it has")
    }
    next = start + length
    return UnsafeRawBufferPointer(rebasing: bytes[start..<next])
  }

  private mutating func numbers(_ count: Int) throws -> [Int] {
    let piece = try piece(count, 8)
    return (0..<count).map { Int(truncatingIfNeeded: piece.load(fromByteOffset: 8 * $0, as: UInt64.self).littleEndian) }
  }

  mutating func text() throws -> UnsafeRawBufferPointer { try piece(numbers(1)[0], 1) }

  mutating func level(_ level: Int, of order: Int, words: Int, wordSize: Int) throws -> ngrams_table {
    let numbers = try numbers(5)
    let (count, codeSize, backoffCount) = (numbers[0], numbers[2], numbers[3])
    guard count >= 0, count <= Int(UInt32.max), level > 1 || count == words, numbers[1] == wordSize,
      [1, 2, 4].contains(codeSize), backoffCount > 0 || level == order || count == 0
    else { throw damaged("what it says of order \(level) cannot be") }
    let isLast = level == order
    let own = try piece(level == 1 ? 0 : count, wordSize)
    let children = try piece(isLast ? 0 : count + 1, 4)
    let probabilities = try piece(count, 4)
    let codes = try piece(isLast ? 0 : count, codeSize)
    let backoffs = try piece(backoffCount, 4)
    return ngrams_table(
      count: count, words: own.baseAddress, word_size: Int32(wordSize),
      children: children.baseAddress?.assumingMemoryBound(to: UInt32.self),
      probabilities: probabilities.baseAddress?.assumingMemoryBound(to: Float.self), codes: codes.baseAddress,
      code_size: Int32(codeSize), backoffs: backoffs.baseAddress?.assumingMemoryBound(to: Float.self),
      backoff_count: backoffCount)
  }

  func requireEnd() throws {
    guard next == bytes.count else { throw damaged("it has \(bytes.count - next) bytes too many") }
  }
}
