import Files
import HDF5Files
import NGramModels

/// What a file is, by its first bytes.
public enum FileKind: Equatable, Sendable {
  case checkpoint
  case model
  case curves
  case safetensors
  /// By its name: such a file begins as any other might.
  case onnx
  /// N-grams in our own form, which is mapped.
  case ngrams
  /// N-grams as a text, plain or packed.
  case arpa
  /// KenLM's binary form.
  case kenLM
  /// A mixture of models. By its name.
  case mixture
  /// Nothing that is read here.
  case other

  /// Looks at the first bytes alone: the file may be damaged. Throws `FileError`, and `HDF5Error` for a damaged header of ours.
  public init(of path: String) throws {
    let start = try MappedFile.withBytes(of: path) { Array($0.prefix(9)) }
    if start.starts(with: Array("LOCKSTEP".utf8)) {
      switch try ContainerHeader.read(path).kind {
      case "checkpoint": self = .checkpoint
      case "model": self = .model
      case "curves": self = .curves
      case NGramModel.kind: self = .ngrams
      default: self = .other
      }
    } else if path.hasSuffix(".safetensors") || (start.count == 9 && start[8] == UInt8(ascii: "{")) {
      self = .safetensors
    } else if path.hasSuffix(".onnx") {
      self = .onnx
    } else if path.hasSuffix(".yaml") || path.hasSuffix(".yml") {
      self = .mixture
    } else if try KenLMReader.isKenLM(path) {
      self = .kenLM
    } else if try ARPAReader.isARPA(path) {
      self = .arpa
    } else {
      self = .other
    }
  }
}
