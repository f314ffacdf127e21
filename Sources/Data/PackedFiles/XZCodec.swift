import CLZMA

/// liblzma, for xz.
final class XZCodec: Codec {
  private let stream = UnsafeMutablePointer<lzma_stream>.allocate(capacity: 1)

  /// xz's default; level 9 would take 700 MB.
  private static let level: UInt32 = 6
  /// More than any preset of xz takes.
  private static let mostMemory: UInt64 = 256 << 20

  init(packs: Bool) {
    stream.initialize(to: lockstep_lzma_stream())
    let result =
      packs
      ? lzma_easy_encoder(stream, Self.level, LZMA_CHECK_CRC64)
      : lockstep_lzma_decoder(stream, Self.mostMemory)
    precondition(result == LZMA_OK, "no memory for liblzma")
  }

  deinit {
    lzma_end(stream)
    stream.deallocate()
  }

  func run(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, isLast: Bool
  ) throws(CodecFault) -> (read: Int, written: Int, ended: Bool) {
    stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = input.count
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = output.count
    let result = lzma_code(stream, isLast ? LZMA_FINISH : LZMA_RUN)
    switch result {
    case LZMA_OK, LZMA_STREAM_END, LZMA_BUF_ERROR: break
    case LZMA_MEMLIMIT_ERROR: throw CodecFault(problem: "unpacking it takes more than \(Self.mostMemory >> 20) MB")
    case LZMA_DATA_ERROR, LZMA_FORMAT_ERROR: throw CodecFault(problem: "its data is damaged")
    default: throw CodecFault(problem: "liblzma error \(result.rawValue)")
    }
    return (input.count - stream.pointee.avail_in, output.count - stream.pointee.avail_out, result == LZMA_STREAM_END)
  }
}
