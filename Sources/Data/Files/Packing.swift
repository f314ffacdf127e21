/// How a file may be packed, so that what it holds is no text before it is unpacked.
public enum Packing: CaseIterable, Sendable {
  case gzip, compress, bzip2, xz, zstandard, lz4, zip, sevenZip, rar, tar

  /// So many first bytes tell; a tar archive says what it is behind the name of its first file.
  static let bytesLookedAt = 262

  /// Tells by the first bytes of a file. No text begins so: they have bytes that are no UTF-8, or characters that control a
  /// terminal; only those of bzip2 are letters (10 of them, the digits of pi among them).
  public init?(firstBytes: some Collection<UInt8>) {
    let start = Array(firstBytes.prefix(Self.bytesLookedAt))
    guard let packing = Self.allCases.first(where: { $0.isThat(of: start) }) else { return nil }
    self = packing
  }

  private func isThat(of start: [UInt8]) -> Bool {
    func begins(_ bytes: UInt8...) -> Bool { start.starts(with: bytes) }
    switch self {
    case .gzip: return begins(0x1F, 0x8B, 0x08)
    case .compress: return begins(0x1F, 0x9D)
    case .bzip2:
      guard begins(0x42, 0x5A, 0x68), start.count >= 10, (0x31...0x39).contains(start[3]) else { return false }
      // The first block, or the end of an empty file.
      return [[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]].contains(Array(start[4..<10]))
    case .xz: return begins(0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00)
    case .zstandard:
      // A frame, or one that is passed over, as pzstd puts first.
      return begins(0x28, 0xB5, 0x2F, 0xFD)
        || (start.count >= 4 && start[0] & 0xF0 == 0x50 && start[1..<4] == [0x2A, 0x4D, 0x18])
    case .lz4: return begins(0x04, 0x22, 0x4D, 0x18)
    case .zip: return begins(0x50, 0x4B, 0x03, 0x04) || begins(0x50, 0x4B, 0x05, 0x06) || begins(0x50, 0x4B, 0x07, 0x08)
    case .sevenZip: return begins(0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C)
    case .rar: return begins(0x52, 0x61, 0x72, 0x21, 0x1A, 0x07)
    case .tar: return start.dropFirst(257).elementsEqual("ustar".utf8) && start[..<257].contains(0)
    }
  }

  /// With its article.
  var name: String {
    switch self {
    case .gzip: "a gzip file"
    case .compress: "a file of compress(1)"
    case .bzip2: "a bzip2 file"
    case .xz: "an xz file"
    case .zstandard: "a zstd file"
    case .lz4: "an lz4 file"
    case .zip: "a zip archive"
    case .sevenZip: "a 7z archive"
    case .rar: "a rar archive"
    case .tar: "a tar archive"
    }
  }

  /// The command that unpacks a file and leaves it where it is.
  func unpack(_ path: String) -> String {
    switch self {
    case .gzip, .compress: "gunzip -k \(path)"
    case .bzip2: "bunzip2 -k \(path)"
    case .xz: "unxz -k \(path)"
    case .zstandard: "unzstd \(path)"
    case .lz4: "unlz4 \(path)"
    case .zip: "unzip \(path)"
    case .sevenZip: "7z x \(path)"
    case .rar: "unrar x \(path)"
    case .tar: "tar -xf \(path)"
    }
  }

  /// The command that writes to standard output what a file holds.
  func pour(_ path: String) -> String {
    switch self {
    case .gzip, .compress: "zcat \(path)"
    case .bzip2: "bzcat \(path)"
    case .xz: "xzcat \(path)"
    case .zstandard: "zstdcat \(path)"
    case .lz4: "lz4cat \(path)"
    case .zip: "unzip -p \(path)"
    case .sevenZip: "7z x -so \(path)"
    case .rar: "unrar p -inul \(path)"
    case .tar: "tar -xOf \(path)"
    }
  }

  /// Throws `PackedFileError` for a file that begins like a packed one. `mayBePiped` says that its reader takes standard
  /// input too.
  public static func refuse(_ firstBytes: some Collection<UInt8>, of name: String, mayBePiped: Bool = false) throws {
    if let packing = Packing(firstBytes: firstBytes) {
      throw PackedFileError(name: name, packing: packing, mayBePiped: mayBePiped)
    }
  }
}

/// A packed file where a text was expected.
public struct PackedFileError: Error, Equatable, CustomStringConvertible {
  /// The path of a file, or `InputFile.standardInput`.
  public let name: String
  public let packing: Packing
  let mayBePiped: Bool

  public var description: String {
    let found = "\(name): expected a text, found \(packing.name)"
    if name == InputFile.standardInput {
      return "\(found); unpack it on the way, as in `\(packing.pour("FILE")) | lockstep …`"
    }
    let pipe = mayBePiped ? ", or hand it over unpacked: `\(packing.pour(name)) | lockstep … -`" : ""
    return "\(found); unpack it first (`\(packing.unpack(name))`)\(pipe)"
  }
}
