import Checkpoints
import Files
import Foundation
import Networks

extension TrainedModel {
  /// Writes a graph of ONNX's standard operators (opset 17) with the weights and the card, whole or not at all;
  /// `ONNXGraph` says what its inputs and outputs are. In half precision the graph still computes in 32 bits.
  ///
  /// Throws `ONNXError.tooLarge` before anything is written, `CheckpointError.tooLargeForHalf` and `FileError`.
  public func save(onnx path: String, precision: Precision) throws {
    let file = try ONNXFile(card, precision: precision, path: path)
    try OutputFile.replace(path) { try file.write(parameters, to: $0) }
  }
}

/// A file about to be written: all but its large tensors is there, so that its size is known. Tensors go one by one
/// from the parameters to the disk.
struct ONNXFile {
  static let irVersion: Int64 = 8
  /// Of 2022; read by onnxruntime from 1.12 on.
  static let opset: Int64 = 17
  /// What metadata of ours begins with.
  static let metadataPrefix = "lockstep."

  // Fields of onnx.proto that are written here.
  private static let (graphField, initializerField, dataField) = (7, 5, 9)

  /// Bytes of the file.
  let size: Int
  private let model: [UInt8]
  private let graph: [UInt8]
  private let graphLength: Int
  private let tensors: [Tensor]
  private let precision: Precision

  private struct Tensor {
    let initializer: ONNXGraph.Initializer
    /// Name, shape and type.
    let header: [UInt8]
    let dataPrefix: [UInt8]
    let dataLength: Int

    var length: Int { header.count + dataPrefix.count + dataLength }
    var prefix: [UInt8] { WireFormat.prefix(field: initializerField, length: length) }
  }

  /// Throws `ONNXError.tooLarge`.
  init(_ card: ModelMetadata, precision: Precision, path: String) throws {
    self.precision = precision
    let content = ONNXGraph(
      card.configuration.model, vocabularySize: card.vocabulary.count, name: card.configuration.name,
      precision: precision)
    model = try Self.description(of: card).serializedBytes()
    graph = try content.graph.serializedBytes()
    tensors = try content.initializers.map { initializer in
      let header = TensorProto.with {
        $0.name = initializer.name
        $0.dims = initializer.dims.map(Int64.init)
        $0.dataType = precision == .half ? .float16 : .float
      }
      let length = initializer.count * (precision == .half ? 2 : 4)
      return Tensor(
        initializer: initializer, header: try header.serializedBytes(),
        dataPrefix: WireFormat.prefix(field: Self.dataField, length: length), dataLength: length)
    }
    graphLength = tensors.reduce(graph.count) { $0 + $1.prefix.count + $1.length }
    size = model.count + WireFormat.prefix(field: Self.graphField, length: graphLength).count + graphLength
    guard size <= ONNXError.mostBytes else { throw ONNXError.tooLarge(path: path, bytes: size) }
  }

  func write(_ parameters: Parameters, to file: OutputFile) throws {
    try file.write(model)
    try file.write(WireFormat.prefix(field: Self.graphField, length: graphLength))
    try file.write(graph)
    for tensor in tensors {
      try file.write(tensor.prefix + tensor.header + tensor.dataPrefix)
      let values = tensor.initializer.values(parameters)
      switch precision {
      case .single: try values.withUnsafeBytes { try file.write($0) }
      case .half: try Precision.halves(values, of: tensor.initializer.name).withUnsafeBytes { try file.write($0) }
      }
    }
  }

  /// All of the model but its graph.
  private static func description(of card: ModelMetadata) throws -> ModelProto {
    let texts = try card.texts().sorted { $0.key < $1.key }
    return .with {
      $0.irVersion = irVersion
      $0.producerName = "lockstep"
      $0.producerVersion = card.provenance.program
      $0.docString = """
        A language model. logits [length, batch, vocabulary] are of the token after each of tokens [length, \
        batch]. States are zero at the beginning of a text; what comes out as hidden.0.next (or context.next) goes in as hidden.0 (context) with \
        the tokens that follow, and so on. Metadata holds vocabulary (JSON, by number), tokenizer and configuration.
        """
      $0.opsetImport = [.with { $0.version = opset }]
      $0.metadataProps = texts.map { name, text in
        .with {
          $0.key = metadataPrefix + name
          $0.value = text
        }
      }
    }
  }
}
