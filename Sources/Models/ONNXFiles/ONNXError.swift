/// A model that does not fit into an ONNX file, or a file that is none. System calls that fail throw `FileError`.
public enum ONNXError: Error, CustomStringConvertible, Equatable {
  /// What the file would take, in bytes.
  case tooLarge(path: String, bytes: Int)
  /// `problem` says what was expected and what was found.
  case malformed(path: String, problem: String)

  /// Bytes of a protobuf message at most.
  public static let mostBytes = Int(Int32.max)

  public var description: String {
    switch self {
    case .tooLarge(let path, let bytes):
      "\(path): expected at most \(Self.mostBytes) bytes, what a protobuf file can hold; this model takes \(bytes); "
        + "export it in half precision, or as .safetensors"
    case .malformed(let path, let problem):
      "\(path): \(problem); the file is damaged or no ONNX model: check the path or use another copy"
    }
  }
}
