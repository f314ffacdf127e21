import CBZip2

/// libbzip2.
final class BZip2Unpacker: Codec {
  /// libbzip2 keeps its address.
  private let stream = UnsafeMutablePointer<bz_stream>.allocate(capacity: 1)

  init() {
    stream.initialize(to: bz_stream())
    precondition(BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK, "no memory for libbzip2")
  }
  deinit {
    BZ2_bzDecompressEnd(stream)
    stream.deallocate()
  }

  func run(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, isLast: Bool
  ) throws(CodecFault) -> (read: Int, written: Int, ended: Bool) {
    stream.pointee.set(input, output)
    let result = BZ2_bzDecompress(stream)
    guard result == BZ_OK || result == BZ_STREAM_END else {
      switch result {
      case BZ_DATA_ERROR: throw CodecFault(problem: "its data is damaged")
      case BZ_DATA_ERROR_MAGIC: throw CodecFault(problem: "what follows its end is no bzip2")
      default: throw CodecFault(problem: "libbzip2 gives up with error \(result)")
      }
    }
    return stream.pointee.used(input, output, ended: result == BZ_STREAM_END)
  }
}

final class BZip2Packer: Codec {
  /// libbzip2 keeps its address.
  private let stream = UnsafeMutablePointer<bz_stream>.allocate(capacity: 1)

  init() {
    stream.initialize(to: bz_stream())
    precondition(BZ2_bzCompressInit(stream, 9, 0, 0) == BZ_OK, "no memory for libbzip2")
  }
  deinit {
    BZ2_bzCompressEnd(stream)
    stream.deallocate()
  }

  func run(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, isLast: Bool
  ) -> (read: Int, written: Int, ended: Bool) {
    stream.pointee.set(input, output)
    let result = BZ2_bzCompress(stream, isLast ? BZ_FINISH : BZ_RUN)
    precondition(result >= 0, "libbzip2 cannot pack: error \(result)")
    return stream.pointee.used(input, output, ended: result == BZ_STREAM_END)
  }
}

extension bz_stream {
  fileprivate mutating func set(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) {
    // libbzip2 does not write to it.
    next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?.assumingMemoryBound(to: CChar.self)
    avail_in = UInt32(input.count)
    next_out = output.baseAddress?.assumingMemoryBound(to: CChar.self)
    avail_out = UInt32(output.count)
  }

  fileprivate func used(
    _ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer, ended: Bool
  ) -> (read: Int, written: Int, ended: Bool) {
    (input.count - Int(avail_in), output.count - Int(avail_out), ended)
  }
}
