import Glibc

/// A file's bytes, mapped read-only: pages come in as they are touched and can be dropped again, so a file
/// of any size costs little memory. `bytes` must not be used after the object is gone (`withExtendedLifetime`). Where the file
/// is truncated while it is mapped, touching what is gone ends the process: see `explainTruncation`.
public final class MappedFile: @unchecked Sendable {
  public let path: String
  public let bytes: UnsafeRawBufferPointer
  /// Its number among `MappedRanges`.
  private let slot: Int?

  public init(_ path: String) throws {
    self.path = path
    let descriptor = try checked("open", path) {
      open(FileName.bytes(of: path), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    }
    defer { close(descriptor) }
    var status = stat()
    try checked("look at", path) { fstat(descriptor, &status) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw FileError(operation: "read", path: path, code: EISDIR)
    default: throw FileError(operation: "map", path: path, code: ENODEV)  // a pipe or device has no length
    }
    let size = Int(status.st_size)
    if size == 0 {  // an empty mapping is an error to mmap(2)
      (bytes, slot) = (UnsafeRawBufferPointer(start: nil, count: 0), nil)
      return
    }
    guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw FileError(operation: "map", path: path, code: errno)
    }
    bytes = UnsafeRawBufferPointer(start: address, count: size)
    slot = MappedRanges.add(bytes, of: path)
  }

  /// From now on, what ends the process because a mapped file was cut short is told on standard error, with the file's path
  /// after `speaker`, and the exit status is 1.
  public static func explainTruncation(as speaker: String) { MappedRanges.explainTruncation(as: speaker) }

  /// Maps a file for as long as `body` looks at its bytes.
  public static func withBytes<Result>(
    of path: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let file = try MappedFile(path)
    return try withExtendedLifetime(file) { try body(file.bytes) }
  }

  deinit {
    if let slot { MappedRanges.remove(slot) }
    if let address = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
    }
  }

  /// Lets the pages of a range that was read go again, so that a pass over a large file keeps little of
  /// it resident. They come back when touched.
  public func release(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    guard end > start, let address = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: address + start), end - start, MADV_DONTNEED)
  }
}
