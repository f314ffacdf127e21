import Glibc

/// Reads a file, or standard input, line by line (see `TextLines`), as bytes.
///
/// Memory is bounded by the longest line that is taken, whatever the file holds.
public final class LineReader {
  /// The file's path; "standard input" for that.
  public let name: String
  /// Lines and bytes read so far.
  public private(set) var count = 0
  public private(set) var bytes = 0
  /// Bytes in all; 0 for standard input, which does not tell.
  public let size: Int

  /// The longest line that is taken, in bytes: what a program needs for a line is many times as much.
  public static let longestLine = 16 << 20
  private static let blockSize = 1 << 16

  private let longest: Int
  private let descriptor: Int32
  /// What has been read of the file and belongs to no line yet.
  private var block = [UInt8](repeating: 0, count: blockSize)
  private var unread = 0..<0

  /// `path` may be "-" for standard input. Throws `FileError`.
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
  }

  deinit { close(descriptor) }

  /// The next line without its end, "\n" or "\r\n"; nil at the end of the file. A byte-order mark at the beginning is passed
  /// over. Throws `FileError`, `PackedFileError` at the beginning of a packed file, and `LineError` for a line that is too long.
  public func next() throws -> [UInt8]? {
    var line: [UInt8] = []
    while line.last != UInt8(ascii: "\n") {
      if unread.isEmpty, try !fill() {
        if line.isEmpty { return nil }
        break  // a last line without an end
      }
      let rest = block[unread]
      let piece = rest.firstIndex(of: UInt8(ascii: "\n")).map { rest[...$0] } ?? rest
      // Two more for an end.
      guard line.count + piece.count <= longest + 2 else { throw LineError(name, line: count + 1, longest: longest) }
      line += piece
      unread = unread.dropFirst(piece.count)
      bytes += piece.count
    }
    count += 1
    let text = TextLines.withoutEnd(line)
    guard text.count <= longest else { throw LineError(name, line: count, longest: longest) }
    return Array(count == 1 && text.starts(with: [0xef, 0xbb, 0xbf]) ? text.dropFirst(3) : text)
  }

  /// Whether another line can be had without waiting for whoever writes the file.
  public var isReady: Bool { size > 0 || block[unread].contains(UInt8(ascii: "\n")) }

  /// Reads more of the file; says whether there was more.
  private func fill() throws -> Bool {
    let read = try block.withUnsafeMutableBytes { block in
      try checked("read", name) { Glibc.read(descriptor, block.baseAddress, block.count) }
    }
    if bytes == 0 { try Packing.refuse(block[..<read], of: name, mayBePiped: true) }
    unread = 0..<read
    return read > 0
  }
}

/// A line that is longer than any that is taken.
public struct LineError: Error, CustomStringConvertible, Equatable {
  public let file: String
  /// From 1.
  public let line: Int
  /// In bytes.
  public let longest: Int

  public init(_ file: String, line: Int, longest: Int) {
    self.file = file
    self.line = line
    self.longest = longest
  }

  public var description: String {
    "\(file), line \(line): expected at most \(longest) bytes, found a longer line; break it into shorter ones"
  }
}
