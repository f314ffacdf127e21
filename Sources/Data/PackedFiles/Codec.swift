/// One direction of a compression library.
protocol Codec: AnyObject {
  /// Turns some of `input` into some of `output`; `isLast` says that nothing comes after this input. Returns how many bytes of
  /// each were used, and whether the packed data has ended. Throws `CodecFault` for data that is damaged.
  func run(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, isLast: Bool
  ) throws(CodecFault) -> (read: Int, written: Int, ended: Bool)
}

/// What a library says of data that it cannot unpack.
struct CodecFault: Error {
  let problem: String
}

/// How a file is packed by one of the libraries that are used here.
enum Compression: CaseIterable {
  case gzip, bzip2, xz

  /// By the ending of a file's name; nil for one that is plain.
  init?(ending name: String) {
    guard let compression = Self.allCases.first(where: { name.hasSuffix($0.ending) }) else { return nil }
    self = compression
  }

  /// Ending of a file's name.
  var ending: String {
    switch self {
    case .gzip: ".gz"
    case .bzip2: ".bz2"
    case .xz: ".xz"
    }
  }

  func makeUnpacker() -> any Codec {
    switch self {
    case .gzip: Inflater()
    case .bzip2: BZip2Unpacker()
    case .xz: XZCodec(packs: false)
    }
  }

  func makePacker() -> any Codec {
    switch self {
    case .gzip: Deflater()
    case .bzip2: BZip2Packer()
    case .xz: XZCodec(packs: true)
    }
  }
}
