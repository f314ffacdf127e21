import CZlib

/// zlib, for gzip.
final class Inflater: Codec {
  /// zlib keeps its address.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

  init() {
    stream.initialize(to: z_stream())
    precondition(lockstep_inflate_begin(stream) == Z_OK, "no memory for zlib")
  }
  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func run(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, isLast: Bool
  ) throws(CodecFault) -> (read: Int, written: Int, ended: Bool) {
    stream.pointee.set(input, output)
    let result = inflate(stream, Z_NO_FLUSH)
    guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(result) else {
      throw CodecFault(problem: "zlib finds: \(stream.pointee.msg.map { String(cString: $0) } ?? "error \(result)")")
    }
    return stream.pointee.used(input, output, ended: result == Z_STREAM_END)
  }
}

final class Deflater: Codec {
  /// zlib keeps its address.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

  // The header of zlib's own has no time: the same text gives the same bytes.
  init() {
    stream.initialize(to: z_stream())
    precondition(lockstep_deflate_begin(stream) == Z_OK, "no memory for zlib")
  }
  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  func run(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, isLast: Bool
  ) -> (read: Int, written: Int, ended: Bool) {
    stream.pointee.set(input, output)
    let result = deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
    precondition([Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(result), "zlib cannot pack: error \(result)")
    return stream.pointee.used(input, output, ended: result == Z_STREAM_END)
  }
}

extension z_stream {
  fileprivate mutating func set(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) {
    // zlib does not write to it.
    next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?.assumingMemoryBound(to: UInt8.self)
    avail_in = UInt32(input.count)
    next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    avail_out = UInt32(output.count)
  }

  fileprivate func used(
    _ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer, ended: Bool
  ) -> (read: Int, written: Int, ended: Bool) {
    (input.count - Int(avail_in), output.count - Int(avail_out), ended)
  }
}
