/// A number that datasets are made of, stored as it lies in memory.
public protocol HDF5Element: BitwiseCopyable, Sendable {
  static var elementType: HDF5ElementType { get }
}

/// The element types of datasets, described in words.
public enum HDF5ElementType: String, CaseIterable, Sendable {
  case float16 = "16-bit floats"
  case float32 = "32-bit floats"
  case float64 = "64-bit floats"
  case int64 = "64-bit integers"
  case uint8 = "bytes"
}

extension Float16: HDF5Element {
  public static var elementType: HDF5ElementType { .float16 }
}

extension Float: HDF5Element {
  public static var elementType: HDF5ElementType { .float32 }
}

extension Double: HDF5Element {
  public static var elementType: HDF5ElementType { .float64 }
}

extension Int64: HDF5Element {
  public static var elementType: HDF5ElementType { .int64 }
}

extension UInt8: HDF5Element {
  public static var elementType: HDF5ElementType { .uint8 }
}

/// What a dataset or an attribute holds.
enum StoredType: Equatable {
  case element(HDF5ElementType)
  /// UTF-8 of this many bytes and a NUL behind them. The count and not the NUL says where the text ends,
  /// so that any text survives, the empty one and one with NULs included.
  case text(byteCount: Int)
  /// Something this program does not write, in words.
  case other(String)

  var name: String {
    switch self {
    case .element(let type): type.rawValue
    case .text: "text"
    case .other(let name): name
    }
  }
}

/// Type and shape of a dataset or an attribute. An empty shape is that of a single value.
struct Layout: Equatable {
  let type: StoredType
  let shape: [Int]

  var description: String {
    shape.isEmpty ? "a single value (\(type.name))" : "\(type.name) of shape \(shape)"
  }

  /// Size in memory; nil if no memory could hold it.
  var byteCount: Int? {
    let unit =
      switch type {
      case .element(.float16): 2
      case .element(.float32): 4
      case .element(.float64), .element(.int64): 8
      case .element(.uint8), .other: 1
      case .text(let byteCount): byteCount + 1
      }
    return shape.reduce(Optional(unit)) { total, size in
      guard let total else { return nil }
      let (product, overflow) = total.multipliedReportingOverflow(by: size)
      return overflow ? nil : product
    }
  }
}

/// What carries a value in a file.
enum Place {
  case dataset(String)
  case attribute(String, of: String)

  var description: String {
    switch self {
    case .dataset(let path): path
    case .attribute(let name, let path): "\(path), attribute \"\(name)\""
    }
  }
}
