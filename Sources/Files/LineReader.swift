import Glibc

/// Reads a file, or standard input, line by line, as bytes.
public final class LineReader {
  /// The file's path; "standard input" for that.
  public let name: String
  /// Lines and bytes read so far.
  public private(set) var count = 0
  public private(set) var bytes = 0
  /// Bytes in all; 0 for standard input, which does not tell.
  public let size: Int
  private let stream: UnsafeMutablePointer<FILE>
  private var buffer: UnsafeMutablePointer<CChar>?
  private var capacity = 0

  /// `path` may be "-" for standard input.
  public init(_ path: String) throws {
    let isInput = path == "-"
    name = isInput ? "standard input" : path
    let status = try isInput ? nil : FileSystem.status(path)
    if status?.isDirectory == true { throw FileError(operation: "read", path: path, code: EISDIR) }
    size = status?.size ?? 0
    guard let stream = isInput ? fdopen(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0), "r") : fopen(path, "re") else {
      throw FileError(operation: "open", path: name, code: errno)
    }
    self.stream = stream
  }

  deinit {
    free(buffer)
    fclose(stream)
  }

  /// The next line without its "\n"; nil at the end. A byte-order mark at the beginning is passed over.
  public func next() throws -> [UInt8]? {
    errno = 0
    let length = getline(&buffer, &capacity, stream)
    guard length >= 0, let buffer else {
      if ferror(stream) != 0 || errno == ENOMEM { throw FileError(operation: "read", path: name, code: errno) }
      return nil
    }
    count += 1
    bytes += length
    let line = UnsafeRawBufferPointer(start: buffer, count: length)
    let text = line.last == UInt8(ascii: "\n") ? line.dropLast() : line[...]
    return Array(count == 1 && text.starts(with: [0xef, 0xbb, 0xbf]) ? text.dropFirst(3) : text)
  }
}
