import Files

/// The 512 bytes in front of the HDF5 data, which HDF5 programs skip as its "user block":
///
///     offset  bytes
///          0      8   "LOCKSTEP"
///          8      4   version of this layout
///         12     16   kind of file, ASCII, padded with zeros
///         28      4   version of the kind's format
///         32      8   number of bytes that follow the header
///         40     32   SHA-256 of header and data, without these 32 bytes
///         72    440   zeros
///
/// Numbers are little-endian and unsigned.
public struct ContainerHeader: Equatable, Sendable {
  /// What the file holds, such as "checkpoint": 1 to 16 ASCII characters.
  public let kind: String
  /// Version of what a file of this kind holds, from 1.
  public let formatVersion: Int
  /// Bytes of HDF5 data behind the header.
  public let length: Int
  /// SHA-256 of the rest: equal for files of equal contents.
  public let digest: [UInt8]

  /// Bytes of the header.
  public static let size = 512
  /// The only layout this program reads and writes.
  public static let layoutVersion = 1

  static let magic = Array("LOCKSTEP".utf8)
  private static let kindSize = 16
  private static let digestRange = 40..<72

  /// What the file at `path` says it is, from its first bytes and its size; its data is not looked at.
  /// Throws `HDF5Error` (`foreign`, `newer`, `damaged`) or `FileError`.
  public static func read(_ path: String) throws -> ContainerHeader {
    let file = try MappedFile(path)
    return try withExtendedLifetime(file) { try ContainerHeader(of: file) }
  }

  /// The header for `data`, with its digest.
  public init(kind: String, formatVersion: Int, data: UnsafeRawBufferPointer) {
    Self.requireValid(kind: kind, formatVersion: formatVersion)
    self.kind = kind
    self.formatVersion = formatVersion
    length = data.count
    let undigested = Self.encode(kind: kind, formatVersion: formatVersion, length: data.count)
    digest = undigested.withUnsafeBytes { Self.digest(header: $0, data: data) }
  }

  /// Reads the header of a file and holds it against the file's size.
  public init(of file: MappedFile) throws {
    let bytes = file.bytes
    func damaged(_ problem: String) -> HDF5Error { .damaged(file.path, problem) }

    guard bytes.prefix(Self.magic.count).elementsEqual(Self.magic) else {
      throw HDF5Error(reason: .foreign, file: file.path, location: nil, problem: Self.describeForeign(bytes))
    }
    guard bytes.count >= Self.size else {
      throw damaged("expected a header of \(Self.size) bytes, found \(bytes.count) bytes in all")
    }
    let version = bytes.number(UInt32.self, at: 8)
    if version > Self.layoutVersion {
      throw HDF5Error.newer(file.path, "file layout", found: version, reads: Self.layoutVersion)
    }
    let kindField = bytes[12..<12 + Self.kindSize]
    let kindBytes = kindField.prefix { $0 != 0 }
    guard version == Self.layoutVersion, !kindBytes.isEmpty, kindBytes.allSatisfy(Self.isPrintable),
      kindField.dropFirst(kindBytes.count).allSatisfy({ $0 == 0 })
    else { throw damaged("its header is not one that this program writes") }

    kind = String(decoding: kindBytes, as: UTF8.self)
    formatVersion = bytes.number(UInt32.self, at: 28)
    let found = bytes.count - Self.size
    let expected = bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self).littleEndian
    guard expected == UInt64(found) else {
      throw damaged("expected \(expected) bytes after the header, found \(found)")
    }
    length = found
    digest = Array(bytes[Self.digestRange])
  }

  /// Throws unless every byte of the file is the one that was written.
  public func verify(_ file: MappedFile) throws {
    let header = UnsafeRawBufferPointer(rebasing: file.bytes[..<Self.size])
    let data = UnsafeRawBufferPointer(rebasing: file.bytes[Self.size...])
    guard Self.digest(header: header, data: data) == digest else {
      throw HDF5Error.damaged(file.path, "expected the SHA-256 that its header names, found another")
    }
  }

  /// The header as it stands in the file.
  public func encoded() -> [UInt8] {
    var bytes = Self.encode(kind: kind, formatVersion: formatVersion, length: length)
    bytes.replaceSubrange(Self.digestRange, with: digest)
    return bytes
  }

  static func requireValid(kind: String, formatVersion: Int) {
    precondition(
      (1...kindSize).contains(kind.utf8.count) && kind.utf8.allSatisfy(isPrintable),
      "a kind is 1 to \(kindSize) ASCII characters, not \"\(kind)\"")
    precondition((1...Int(UInt32.max)).contains(formatVersion), "format versions begin at 1")
  }

  private static func isPrintable(_ byte: UInt8) -> Bool { (0x20..<0x7f).contains(byte) }

  private static func encode(kind: String, formatVersion: Int, length: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    bytes.replaceSubrange(0..<magic.count, with: magic)
    bytes.replaceSubrange(12..<12 + kind.utf8.count, with: kind.utf8)
    bytes.withUnsafeMutableBytes {
      $0.storeBytes(of: UInt32(layoutVersion).littleEndian, toByteOffset: 8, as: UInt32.self)
      $0.storeBytes(of: UInt32(formatVersion).littleEndian, toByteOffset: 28, as: UInt32.self)
      $0.storeBytes(of: UInt64(length).littleEndian, toByteOffset: 32, as: UInt64.self)
    }
    return bytes
  }

  private static func digest(header: UnsafeRawBufferPointer, data: UnsafeRawBufferPointer) -> [UInt8] {
    var digest = Digest()
    digest.update(UnsafeRawBufferPointer(rebasing: header[..<digestRange.lowerBound]))
    digest.update(UnsafeRawBufferPointer(rebasing: header[digestRange.upperBound...]))
    digest.update(data)
    return digest.finish()
  }

  private static func describeForeign(_ bytes: UnsafeRawBufferPointer) -> String {
    let found =
      if bytes.isEmpty {
        "an empty file"
      } else if bytes.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]) {
        "an HDF5 file of another program"
      } else {
        "a file that begins otherwise"
      }
    return "expected a file written by Lockstep, found \(found); check the path"
  }
}

extension HDF5Error {
  fileprivate static func damaged(_ file: String, _ problem: String) -> HDF5Error {
    HDF5Error(
      reason: .damaged, file: file, location: nil,
      problem: "\(problem): the file was cut short or changed; use another copy or an older file")
  }

  static func newer(_ file: String, _ what: String, found: Int, reads newest: Int) -> HDF5Error {
    HDF5Error(
      reason: .newer, file: file, location: nil,
      problem: "expected a \(what) up to version \(newest), found version \(found); "
        + "read it with a newer Lockstep")
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func number(_ type: UInt32.Type, at offset: Int) -> Int {
    Int(loadUnaligned(fromByteOffset: offset, as: type).littleEndian)
  }
}
