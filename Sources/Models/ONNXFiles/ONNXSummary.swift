import Checkpoints
import Files
import SwiftProtobuf

/// What an ONNX file says of itself, whoever wrote it. Weights are passed over where they lie, so that a file of any
/// size costs little memory.
public struct ONNXSummary: Sendable {
  /// An input or output.
  public struct Value: Equatable, Sendable {
    public let name: String
    /// "float" or "int64", for example; "undefined" for what is no tensor.
    public let elementType: String
    /// Numbers, names of sizes that are chosen when the model runs, and "?".
    public let shape: [String]
  }

  public private(set) var producer = ""
  public private(set) var producerVersion = ""
  public private(set) var irVersion = 0
  /// Version of ONNX's own operators.
  public private(set) var opset = 0
  public private(set) var inputs: [Value] = []
  public private(set) var outputs: [Value] = []
  /// Tensors in the file, and the numbers of 16 and 32 bits with a fraction in those of them.
  public private(set) var initializerCount = 0
  public private(set) var floatCount = 0
  /// What our own files tell; nil for others'.
  public private(set) var card: ModelMetadata?

  /// Of what is taken out of the file: pieces at most, and bytes of a piece but metadata, which hold the vocabulary.
  private static let (mostPieces, mostBytes) = (2000, 4096)
  private var pieces = 0

  /// Throws `FileError`, `ONNXError.malformed` and, for a card of ours that was changed, what `ModelMetadata` throws.
  public init(_ path: String) throws {
    var texts: [String: String] = [:]
    try MappedFile.withBytes(of: path) { bytes in
      var model = FieldReader(bytes, path: path)
      while let field = try model.next() {
        switch field {
        case (1, .number(let version)): irVersion = Int(truncatingIfNeeded: version)
        case (2, .bytes(let bytes)): producer = try text(bytes, path)
        case (3, .bytes(let bytes)): producerVersion = try text(bytes, path)
        case (7, .bytes(let bytes)): try read(graph: FieldReader(bytes, path: path))
        case (8, .bytes(let bytes)):
          let set: OperatorSetIdProto = try message(bytes, path)
          if set.domain.isEmpty || set.domain == "ai.onnx" { opset = Int(set.version) }
        case (14, .bytes(let bytes)):
          let entry: StringStringEntryProto = try message(bytes, path, most: bytes.count)
          guard entry.key.hasPrefix(ONNXFile.metadataPrefix) else { continue }
          texts[String(entry.key.dropFirst(ONNXFile.metadataPrefix.count))] = entry.value
        default: continue
        }
      }
    }
    guard irVersion > 0, opset > 0, !outputs.isEmpty else {
      throw ONNXError.malformed(path: path, problem: "expected versions, operators and outputs, found not all of them")
    }
    if !texts.isEmpty { card = try ModelMetadata(texts: texts, source: path) }
  }

  private mutating func read(graph: FieldReader) throws {
    var graph = graph
    while let field = try graph.next() {
      switch field {
      case (5, .bytes(let bytes)): try count(tensor: FieldReader(bytes, path: graph.path))
      case (11, .bytes(let bytes)): inputs.append(Value(try message(bytes, graph.path)))
      case (12, .bytes(let bytes)): outputs.append(Value(try message(bytes, graph.path)))
      default: continue
      }
    }
  }

  private mutating func count(tensor: FieldReader) throws {
    var tensor = tensor
    var (type, data) = (TensorProto.DataType.undefined, 0)
    while let field = try tensor.next() {
      switch field {
      case (2, .number(let number)): type = .init(rawValue: Int(truncatingIfNeeded: number)) ?? .undefined
      case (4, .bytes(let bytes)), (9, .bytes(let bytes)): data = bytes.count  // float_data or raw_data
      default: continue
      }
    }
    initializerCount += 1
    if type == .float { floatCount += data / 4 }
    if type == .float16 { floatCount += data / 2 }
  }

  private func text(_ bytes: UnsafeRawBufferPointer, _ path: String) throws -> String {
    if bytes.count <= Self.mostBytes, let text = String(validating: bytes, as: UTF8.self) { return text }
    throw ONNXError.malformed(path: path, problem: "expected a name in UTF-8, found \(bytes.count) other bytes")
  }

  /// A small part of the file, by generated code.
  private mutating func message<Part: Message>(
    _ bytes: UnsafeRawBufferPointer, _ path: String, most: Int = mostBytes
  ) throws -> Part {
    pieces += 1
    guard pieces <= Self.mostPieces, bytes.count <= most else {
      throw ONNXError.malformed(
        path: path,
        problem: "expected at most \(Self.mostPieces) names and types of at most \(Self.mostBytes) bytes, found more")
    }
    do {
      return try Part(serializedBytes: Array(bytes))
    } catch {
      throw ONNXError.malformed(path: path, problem: "expected a \(Part.protoMessageName), found none (\(error))")
    }
  }
}

extension ONNXSummary.Value {
  fileprivate init(_ info: ValueInfoProto) {
    name = info.name
    elementType = "\(info.type.tensorType.elemType)"
    shape = info.type.tensorType.shape.dim.map { dimension in
      switch dimension.value {
      case .dimValue(let size): "\(size)"
      case .dimParam(let name): name
      case nil: "?"
      }
    }
  }
}
