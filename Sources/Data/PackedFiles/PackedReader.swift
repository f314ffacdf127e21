import Files
import Glibc

/// Reads a text line by line, plain or packed by gzip, bzip2 or xz, as its first bytes tell. Memory is bounded by the longest
/// line that is taken.
public final class PackedReader {
  /// The file's path; "standard input" for that.
  public let name: String
  /// Of the line that was given last, from 1.
  public private(set) var line = 0
  /// Bytes of the file, as it is packed, that have been read, and in all; 0 for standard input, which does not tell.
  public private(set) var bytesRead = 0
  public let size: Int

  private static let blockSize = 1 << 20
  /// More than tells how a file is packed; a pipe may give less at a time.
  private static let startSize = 512
  private let longest: Int
  private let descriptor: Int32
  private let compression: Compression?
  private var codec: (any Codec)?
  private var fileEnded = false
  /// What was read of the file and is not unpacked yet.
  private let packed: UnsafeMutableRawBufferPointer
  private var unread = 0..<0
  /// The text, and what of it belongs to no line yet.
  private var text: UnsafeMutableRawBufferPointer
  private var rest = 0..<0

  /// `path` may be "-" for standard input; lines have `longest` bytes at most. Throws `FileError`, and `PackedFileError` for a
  /// file that is packed in another way, and `DamagedFileError` for one that does not begin as the ending of its name says.
  public init(_ path: String, longest: Int = LineReader.longestLine) throws {
    let isInput = path == "-"
    name = isInput ? InputFile.standardInput : path
    let status = try isInput ? nil : FileSystem.status(path)
    if status?.isDirectory == true { throw FileError(operation: "read", path: path, code: EISDIR) }
    size = status?.size ?? 0
    self.longest = longest
    descriptor =
      isInput
      ? try checked("open", name) { fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) }
      : try checked("open", path) { open(FileName.bytes(of: path), O_RDONLY | O_CLOEXEC) }
    packed = .allocate(byteCount: Self.blockSize, alignment: 64)
    text = .allocate(byteCount: Self.blockSize, alignment: 64)
    // All properties are set before the first call that may throw.
    let (first, problem) = Self.begin(packed, from: descriptor, name)
    unread = 0..<first
    switch Packing(firstBytes: packed[..<first]) {
    case .gzip: compression = .gzip
    case .bzip2: compression = .bzip2
    case .xz: compression = .xz
    default: compression = nil
    }
    bytesRead = first
    fileEnded = first == 0
    if let problem { throw problem }
    if compression == nil {
      try Packing.refuse(packed[..<first], of: name)
      // Also one of which too little is left: it would be taken for a short text, or for an empty one.
      if let expected = Compression(ending: name) {
        throw DamagedFileError(name: name, line: 0, problem: "it does not begin as one of \(expected) does")
      }
    }
    codec = compression?.makeUnpacker()
  }

  deinit {
    close(descriptor)
    packed.deallocate()
    text.deallocate()
  }

  /// The next line without its end, "\n" or "\r\n", valid until the next call; nil at the end. Throws `FileError`,
  /// `LineError` for a line that is too long, and `DamagedFileError` for what cannot be unpacked.
  public func nextLine() throws -> UnsafeRawBufferPointer? {
    var searched = 0
    while true {
      let start = text.baseAddress! + rest.lowerBound
      if let end = memchr(start + searched, 0x0a, rest.count - searched) {
        let length = UnsafeMutableRawPointer(end) - start
        rest = rest.lowerBound + length + 1..<rest.upperBound
        let bytes = UnsafeRawBufferPointer(start: start, count: length)
        return try given(bytes.last == 0x0d ? UnsafeRawBufferPointer(rebasing: bytes.dropLast()) : bytes)
      }
      searched = rest.count
      // With room for an end.
      guard searched <= longest + 1 else { throw LineError(name, line: line + 1, longest: longest) }
      if try !read() {
        guard !rest.isEmpty else { return nil }
        defer { rest = 0..<0 }
        return try given(UnsafeRawBufferPointer(rebasing: text[rest]))
      }
    }
  }

  private func given(_ bytes: UnsafeRawBufferPointer) throws -> UnsafeRawBufferPointer {
    line += 1
    guard bytes.count <= longest else { throw LineError(name, line: line, longest: longest) }
    return bytes
  }

  /// Reads more text behind what is left; says whether there was more.
  private func read() throws -> Bool {
    if rest.lowerBound > 0 {
      memmove(text.baseAddress!, text.baseAddress! + rest.lowerBound, rest.count)
      rest = 0..<rest.count
    }
    if rest.count == text.count {
      let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * text.count, alignment: 64)
      larger.copyMemory(from: UnsafeRawBufferPointer(text))
      text.deallocate()
      text = larger
    }
    // The libraries count bytes in 32 bits.
    let room = UnsafeMutableRawBufferPointer(rebasing: text[rest.upperBound...].prefix(1 << 30))
    // There is no codec either where one of joined files has ended.
    let count = try compression == nil ? readPlain(into: room) : unpack(into: room)
    rest = 0..<rest.count + count
    return count > 0
  }

  private func readPlain(into room: UnsafeMutableRawBufferPointer) throws -> Int {
    if unread.isEmpty { try refill() }
    let piece = unread.prefix(room.count)
    room.copyMemory(from: UnsafeRawBufferPointer(rebasing: packed[piece]))
    unread = unread.dropFirst(piece.count)
    return piece.count
  }

  private func unpack(into room: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      if unread.isEmpty && !fileEnded { try refill() }
      guard let codec else {
        // Another file may be joined to one that has ended.
        if unread.isEmpty { return 0 }
        self.codec = compression!.makeUnpacker()
        continue
      }
      let result: (read: Int, written: Int, ended: Bool)
      do {
        result = try codec.run(
          UnsafeRawBufferPointer(rebasing: packed[unread]), into: room, isLast: fileEnded)
      } catch {
        throw DamagedFileError(name: name, line: line, problem: error.problem)
      }
      unread = unread.dropFirst(result.read)
      if result.ended {
        self.codec = nil
      } else if result.written == 0 && result.read == 0 && unread.isEmpty && fileEnded {
        throw DamagedFileError(name: name, line: line, problem: "it ends too early")
      }
      if result.written > 0 { return result.written }
      if result.ended && unread.isEmpty && fileEnded { return 0 }
    }
  }

  private func refill() throws {
    let (count, problem) = Self.fill(packed, from: descriptor, name)
    if let problem { throw problem }
    unread = 0..<count
    bytesRead += count
    fileEnded = count == 0
  }

  /// Fills enough of the block to tell how the file is packed, unless it ends before.
  private static func begin(
    _ block: UnsafeMutableRawBufferPointer, from descriptor: Int32, _ name: String
  ) -> (count: Int, problem: (any Error)?) {
    var filled = 0
    while filled < startSize {
      let rest = UnsafeMutableRawBufferPointer(rebasing: block[filled...])
      let (count, problem) = fill(rest, from: descriptor, name)
      if count == 0 { return (filled, problem) }
      filled += count
    }
    return (filled, nil)
  }

  private static func fill(
    _ block: UnsafeMutableRawBufferPointer, from descriptor: Int32, _ name: String
  ) -> (count: Int, problem: (any Error)?) {
    do {
      return (try checked("read", name) { Glibc.read(descriptor, block.baseAddress, block.count) }, nil)
    } catch {
      return (0, error)
    }
  }
}

/// A packed file that cannot be unpacked whole.
public struct DamagedFileError: Error, Equatable, CustomStringConvertible {
  public let name: String
  /// The last line that could be read; 0 if there is none.
  public let line: Int
  public let problem: String

  public var description: String {
    let place = line == 0 ? "" : ", after line \(line)"
    return "\(name)\(place): expected a packed file that is whole, but \(problem); use another copy, or pack it again"
  }
}
