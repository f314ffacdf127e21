import Files

/// A file of named tensors (https://huggingface.co/docs/safetensors), checked and mapped: 8 bytes that say how long the
/// header is, the header as JSON, and the tensors' numbers, row-major and little-endian.
public final class SafetensorsFile: Sendable {
  /// One tensor of the file.
  public struct Tensor: Equatable, Sendable {
    public let name: String
    public let type: TensorType
    public let shape: [Int]
    /// Its bytes, counted from the end of the header.
    public let range: Range<Int>

    public var count: Int { shape.reduce(1, *) }
  }

  public let path: String
  /// What the file tells beside its tensors.
  public let metadata: [String: String]
  /// In the order of their bytes.
  public let tensors: [Tensor]
  private let tensorsByName: [String: Tensor]
  private let file: MappedFile
  /// Where the header ends, in bytes from the file's start.
  private let dataStart: Int

  /// The longest header, in bytes: what the format's own library allows.
  static let longestHeader = 100_000_000

  /// Opens a file and checks its header: every tensor lies in the file and has as many bytes as its shape and type
  /// need, and no byte belongs to two tensors or to none. Throws `SafetensorsError` and `FileError`.
  public init(_ path: String) throws {
    self.path = path
    file = try MappedFile(path)
    let size = file.bytes.count
    guard size >= 8 else {
      throw SafetensorsError(
        path, nil, "expected 8 bytes with the length of the header, found a file of \(size)", remedy: Self.remedy)
    }
    let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
    guard length <= Self.longestHeader, length <= size - 8 else {
      throw SafetensorsError(
        path, nil,
        "expected a header of at most \(min(Self.longestHeader, size - 8)) bytes, found the length \(length)",
        remedy: Self.remedy)
    }
    dataStart = 8 + Int(length)
    let header = UnsafeRawBufferPointer(rebasing: file.bytes[8..<dataStart])
    var reader = HeaderReader(header, file: path)
    let (found, metadata) = try withExtendedLifetime(file) { try reader.read() }
    self.metadata = metadata
    tensors = found.sorted { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    tensorsByName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    try checkPlaces()
  }

  public func tensor(_ name: String) -> Tensor? { tensorsByName[name] }

  private static let remedy = "it was cut short or is no safetensors file: get it again"

  private func checkPlaces() throws {
    let end = file.bytes.count - dataStart
    var previous: Tensor?
    for tensor in tensors {
      func fault(_ problem: String) -> SafetensorsError { error(tensor.name, problem, remedy: Self.remedy) }
      let start = previous?.range.upperBound ?? 0
      guard let size = tensor.size else { throw fault("expected a shape that memory can hold, found \(tensor.shape)") }
      guard tensor.range.count == size else {
        throw fault(
          "expected \(size) bytes for \(tensor.type.rawValue) \(tensor.shape), found data_offsets of "
            + "\(tensor.range.count)")
      }
      guard tensor.range.upperBound <= end else {
        throw fault("expected it to end within the \(end) bytes of data, found byte \(tensor.range.upperBound)")
      }
      guard tensor.range.lowerBound == start else {
        let before = previous.map { "where \(shown($0.name)) ends" } ?? "at the start of the data"
        let kind = tensor.range.lowerBound < start ? "an overlap" : "a hole"
        throw fault("expected it to begin \(before), at byte \(start), found \(kind): byte \(tensor.range.lowerBound)")
      }
      previous = tensor
    }
    let used = previous?.range.upperBound ?? 0
    guard used == end else {
      throw SafetensorsError(
        path, nil, "expected \(used) bytes of data, as its tensors have, found \(end)", remedy: Self.remedy)
    }
  }

  /// Whether two tensors are the same bit for bit.
  func areIdentical(_ a: Tensor, _ b: Tensor) -> Bool {
    a.type == b.type && a.shape == b.shape && withBytes(of: a) { a in withBytes(of: b) { a.elementsEqual($0) } }
  }

  /// Hands the numbers of a tensor to `body` as floats, in order, with their place from 0. Throws what `body` throws,
  /// and `SafetensorsError` for a tensor of another type than those of `TensorType.readable`.
  public func forEachNumber(of tensor: Tensor, _ body: (_ place: Int, _ value: Float) throws -> Void) throws {
    switch tensor.type {
    case .f16: try forEach(of: tensor, as: UInt16.self) { try body($0, Float(Float16(bitPattern: $1))) }
    case .bf16: try forEach(of: tensor, as: UInt16.self) { try body($0, Float(bitPattern: UInt32($1) << 16)) }
    case .f32: try forEach(of: tensor, as: UInt32.self) { try body($0, Float(bitPattern: $1)) }
    case .f64: try forEach(of: tensor, as: UInt64.self) { try body($0, Float(Double(bitPattern: $1))) }
    default: throw unreadable(tensor)
    }
  }

  /// An error about a tensor.
  func error(_ tensor: String, _ problem: String, remedy: String) -> SafetensorsError {
    SafetensorsError(path, "tensor \(shown(tensor))", problem, remedy: remedy)
  }

  func unreadable(_ tensor: Tensor) -> SafetensorsError {
    error(
      tensor.name, "expected floats, found \(tensor.type.rawValue)",
      remedy: "save it with one of \(TensorType.readable.map(\.rawValue).joined(separator: ", "))")
  }

  private func forEach<Bits: FixedWidthInteger & BitwiseCopyable>(
    of tensor: Tensor, as type: Bits.Type, _ body: (Int, Bits) throws -> Void
  ) throws {
    try withBytes(of: tensor) { bytes in
      for place in 0..<bytes.count / MemoryLayout<Bits>.size {
        let bits = bytes.loadUnaligned(fromByteOffset: place * MemoryLayout<Bits>.size, as: type)
        try body(place, Bits(littleEndian: bits))
      }
    }
  }

  private func withBytes<Result>(
    of tensor: Tensor, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    let range = dataStart + tensor.range.lowerBound..<dataStart + tensor.range.upperBound
    return try withExtendedLifetime(file) { try body(UnsafeRawBufferPointer(rebasing: file.bytes[range])) }
  }
}

extension SafetensorsFile.Tensor {
  /// The bytes that its shape and type need; nil if there are no such numbers, or not whole bytes of them.
  var size: Int? {
    var bits = type.bits
    for dimension in shape {
      let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
      if overflow { return nil }
      bits = product
    }
    return bits.isMultiple(of: 8) ? bits / 8 : nil
  }
}
