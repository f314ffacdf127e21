import Files

/// Builds an HDF5 file in memory and saves it whole, behind a `ContainerHeader`.
///
/// Paths inside the file begin with a slash ("/network/bias"), others trap; groups above a dataset are made
/// as needed, and nothing can be written twice. Equal calls give equal bytes. The memory held is the size of the file and up
/// to a mebibyte. Use one writer from one thread at a time; several writers and readers may live at once.
///
/// All methods throw `HDF5Error`. After an error the contents are not what was asked for: `save` throws it again.
public final class HDF5Writer {
  private let kind: String
  private let formatVersion: Int
  private let contents: MemoryFile
  private var failure: (any Error)?

  /// - Parameters:
  ///   - kind: what the file holds, such as "checkpoint"; traps unless it is 1 to 16 ASCII characters.
  ///   - formatVersion: version of what files of this kind hold; traps unless it is 1 or more.
  public init(kind: String, formatVersion: Int) throws {
    ContainerHeader.requireValid(kind: kind, formatVersion: formatVersion)
    self.kind = kind
    self.formatVersion = formatVersion
    contents = try MemoryFile(building: "the \(kind) file being built")
  }

  /// Makes a group, and those above it; one that is there already is fine. `H5Gcreate2`.
  public func group(_ path: String) throws {
    try remembering { try contents.makeGroup(path) }
  }

  /// Writes a dataset of numbers in row-major order. `H5Dcreate2`, `H5Dwrite`.
  ///
  /// Traps unless there are as many values as `shape` has room for; an empty shape is a single value.
  public func write<Element: HDF5Element>(
    _ values: UnsafeBufferPointer<Element>, shape: [Int], at path: String
  ) throws {
    precondition(
      shape.allSatisfy { $0 >= 0 } && shape.reduce(1, *) == values.count,
      "\(values.count) values for the shape \(shape) of \(path)")
    try write(
      Layout(type: .element(Element.elementType), shape: shape), UnsafeRawBufferPointer(values), at: path)
  }

  /// Writes a dataset of one dimension. `H5Dcreate2`, `H5Dwrite`.
  public func write<Element: HDF5Element>(_ values: [Element], at path: String) throws {
    try values.withUnsafeBufferPointer { try write($0, shape: [values.count], at: path) }
  }

  /// Writes a text of any length and content as a dataset of a single UTF-8 string of fixed length, with a
  /// NUL at its end. `H5Dcreate2`, `H5Dwrite`.
  public func write(text: String, at path: String) throws {
    try withStoredText(text) { try write($0, $1, at: path) }
  }

  /// Gives a group or dataset that is there a text, stored as `write(text:at:)` does.
  /// `H5Acreate_by_name`, `H5Awrite`.
  public func attribute(_ name: String, _ value: String, at path: String = "/") throws {
    try withStoredText(value) { try write($0, $1, asAttribute: name, of: path) }
  }

  /// Gives a group or dataset that is there a 64-bit integer. `H5Acreate_by_name`, `H5Awrite`.
  public func attribute(_ name: String, _ value: Int, at path: String = "/") throws {
    try attribute(name, number: Int64(value), at: path)
  }

  /// Gives a group or dataset that is there a 64-bit float. `H5Acreate_by_name`, `H5Awrite`.
  public func attribute(_ name: String, _ value: Double, at path: String = "/") throws {
    try attribute(name, number: value, at: path)
  }

  /// Saves what was written so far: written beside `path`, synced and renamed over it. On an error the
  /// file that was there stays as it was. Throws `FileError` too.
  public func save(to path: String) throws {
    if let failure { throw failure }
    try contents.withImage { data in
      let header = ContainerHeader(kind: kind, formatVersion: formatVersion, data: data)
      try OutputFile.replace(path) { file in
        try file.write(header.encoded())
        try file.write(data)
      }
    }
  }

  private func write(_ layout: Layout, _ bytes: UnsafeRawBufferPointer, at path: String) throws {
    try remembering {
      try contents.makeGroup(FileSystem.parent(of: path))
      try contents.write(layout, from: bytes.baseAddress, to: .dataset(path))
    }
  }

  private func attribute<Element: HDF5Element>(_ name: String, number: Element, at path: String) throws {
    let layout = Layout(type: .element(Element.elementType), shape: [])
    try withUnsafeBytes(of: number) { try write(layout, $0, asAttribute: name, of: path) }
  }

  private func write(
    _ layout: Layout, _ bytes: UnsafeRawBufferPointer, asAttribute name: String, of path: String
  ) throws {
    try remembering {
      try contents.write(layout, from: bytes.baseAddress, to: .attribute(name, of: path))
    }
  }

  private func remembering(_ change: () throws -> Void) throws {
    do {
      try change()
    } catch {
      failure = failure ?? error
      throw error
    }
  }

  private func withStoredText(_ text: String, _ body: (Layout, UnsafeRawBufferPointer) throws -> Void)
    rethrows
  {
    let bytes = Array(text.utf8) + [0]
    let layout = Layout(type: .text(byteCount: bytes.count - 1), shape: [])
    try bytes.withUnsafeBytes { try body(layout, $0) }
  }
}
