import Files
import Foundation

/// Writes safetensors files, as the format's own library does: tensors by the size of their numbers, then by name, each
/// aligned to it.
enum SafetensorsWriter {
  struct Tensor {
    let name: String
    let type: TensorType
    let shape: [Int]

    var size: Int { shape.reduce(type.bits / 8, *) }
  }

  /// Writes a file whole or not at all. `numbers` hands the bytes of a tensor to `write`, piece by piece.
  /// Throws `FileError`, `SafetensorsError` for a header that no reader would take, and what `numbers` throws.
  static func write(
    _ tensors: [Tensor], metadata: [String: String], to path: String,
    numbers: (_ tensor: Int, _ write: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    let order = tensors.indices.sorted {
      (tensors[$1].type.bits, tensors[$0].name) < (tensors[$0].type.bits, tensors[$1].name)
    }
    let header = try header(order.map { tensors[$0] }, metadata)
    guard header.count <= SafetensorsFile.longestHeader else {
      throw SafetensorsError(
        path, nil, "expected a header of at most \(SafetensorsFile.longestHeader) bytes, found \(header.count)",
        remedy: "the vocabulary is too large for this format: save the model as .h5")
    }
    try OutputFile.replace(path) { file in
      try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try file.write($0) }
      try file.write(header)
      for index in order {
        var written = 0
        try numbers(index) { bytes in
          written += bytes.count
          try file.write(bytes)
        }
        precondition(written == tensors[index].size, "\(written) bytes of \(tensors[index].name)")
      }
    }
  }

  /// The header's JSON, filled up with spaces so that what follows is aligned.
  private static func header(_ tensors: [Tensor], _ metadata: [String: String]) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var header = "{\"__metadata__\":\(String(decoding: try encoder.encode(metadata), as: UTF8.self))"
    var end = 0
    for tensor in tensors {
      let start = end
      end += tensor.size
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      header += ",\"\(tensor.name)\":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
      header += "\"data_offsets\":[\(start),\(end)]}"
    }
    header += "}"
    return Array(header.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: (8 - header.utf8.count % 8) % 8)
  }
}
