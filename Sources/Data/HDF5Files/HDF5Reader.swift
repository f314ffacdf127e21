import Files

/// Reads a file that `HDF5Writer` saved.
///
/// The file stays mapped while the reader lives, and HDF5 parses it where it lies: beside what is read, only
/// pages of the file are in memory, and the system takes those back when it needs to. Use one reader from one
/// thread at a time; several readers and writers may live at once.
///
/// All methods throw `HDF5Error`.
public final class HDF5Reader {
  /// Version of what the file holds: 1 up to the `newestVersion` asked for.
  public let formatVersion: Int
  private let size: Int
  private let contents: MemoryFile

  /// Verifies every byte of the file before HDF5 sees one, and opens it. Throws `FileError` too.
  /// - Parameters:
  ///   - kind: what the file must hold.
  ///   - newestVersion: the newest format of this kind that the caller understands; newer ones are refused.
  public init(path: String, kind: String, newestVersion: Int) throws {
    let file = try MappedFile(path)
    let header = try ContainerHeader(of: file)
    try header.verify(file)
    guard header.kind == kind else {
      throw HDF5Error(
        reason: .otherKind, file: path, location: nil,
        problem: "expected a file of kind \"\(kind)\", found \"\(header.kind)\"; check the path")
    }
    guard header.formatVersion <= newestVersion else {
      throw HDF5Error.newer(path, "\(kind) format", found: header.formatVersion, reads: newestVersion)
    }
    formatVersion = header.formatVersion
    size = file.bytes.count
    contents = try MemoryFile(parsing: file)
  }

  /// Whether there is a group or dataset at `path`. `H5Lexists`.
  public func contains(_ path: String) throws -> Bool {
    try contents.object(at: path) != nil
  }

  /// The names in a group, sorted by their bytes. `H5Lget_name_by_idx`.
  public func names(in group: String) throws -> [String] {
    try require(.group, at: group)
    return try contents.names(in: group)
  }

  /// The sizes of a dataset, slowest first; empty for a single value. `H5Dget_space`.
  public func shape(at path: String) throws -> [Int] {
    try layout(of: .dataset(path)).shape
  }

  /// What a dataset is made of; nil for a text, and for what this program does not write. `H5Dget_type`.
  public func elementType(at path: String) throws -> HDF5ElementType? {
    if case .element(let type) = try layout(of: .dataset(path)).type { type } else { nil }
  }

  /// Copies a dataset of exactly this shape, in row-major order. Traps unless the buffer has as many elements
  /// as `shape`. `H5Dread`.
  public func read<Element: HDF5Element>(
    _ path: String, shape: [Int], into buffer: UnsafeMutableBufferPointer<Element>
  ) throws {
    precondition(shape.reduce(1, *) == buffer.count, "room for \(buffer.count) values of shape \(shape)")
    let expected = Layout(type: .element(Element.elementType), shape: shape)
    let place = Place.dataset(path)
    try layout(of: place, expecting: expected.description) { $0 == expected }
    try contents.read(place, as: expected.type, into: buffer.baseAddress)
  }

  /// A dataset of one dimension. `H5Dread`.
  public func array<Element: HDF5Element>(of type: Element.Type, at path: String) throws -> [Element] {
    let expected = Element.elementType
    let found = try layout(of: .dataset(path), expecting: "\(expected.rawValue) of one dimension") {
      $0.type == .element(expected) && $0.shape.count == 1
    }
    let count = found.shape[0]
    return try [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      try contents.read(.dataset(path), as: found.type, into: buffer.baseAddress)
      initialized = count
    }
  }

  /// A text that `HDF5Writer.write(text:at:)` wrote. `H5Dread`.
  public func text(at path: String) throws -> String {
    try text(of: .dataset(path))
  }

  /// Whether a group or dataset that is there has an attribute. `H5Aexists_by_name`.
  public func contains(attribute name: String, at path: String) throws -> Bool {
    try contents.layout(of: .attribute(name, of: path)) != nil
  }

  /// A text attribute of a group or dataset. `H5Aread`.
  public func attribute(_ name: String, at path: String = "/") throws -> String {
    try text(of: .attribute(name, of: path))
  }

  /// A 64-bit integer attribute of a group or dataset. `H5Aread`.
  public func attribute(_ name: String, at path: String = "/") throws -> Int {
    try Int(number(Int64(0), of: .attribute(name, of: path)))
  }

  /// A 64-bit float attribute of a group or dataset. `H5Aread`.
  public func attribute(_ name: String, at path: String = "/") throws -> Double {
    try number(0.0, of: .attribute(name, of: path))
  }

  private func number<Element: HDF5Element>(_ zero: Element, of place: Place) throws -> Element {
    let expected = Layout(type: .element(Element.elementType), shape: [])
    try layout(of: place, expecting: expected.description) { $0 == expected }
    var value = zero
    try withUnsafeMutableBytes(of: &value) {
      try contents.read(place, as: expected.type, into: $0.baseAddress)
    }
    return value
  }

  private func text(of place: Place) throws -> String {
    let found = try layout(of: place, expecting: "a single text") {
      guard case .text = $0.type else { return false }
      return $0.shape.isEmpty
    }
    guard case .text(let byteCount) = found.type else { preconditionFailure("looked at above") }
    return try String(unsafeUninitializedCapacity: byteCount + 1) {
      try contents.read(place, as: found.type, into: $0.baseAddress)
      return byteCount
    }
  }

  /// Type and shape of what is there, if they are as expected and its data can be in the file at all, so that
  /// no claim of the file makes anyone allocate more memory than the file is long.
  @discardableResult
  private func layout(
    of place: Place, expecting expected: String, where isExpected: (Layout) -> Bool
  ) throws -> Layout {
    let found = try layout(of: place)
    guard isExpected(found), let byteCount = found.byteCount, byteCount <= size else {
      throw HDF5Error(
        reason: .mismatch, file: contents.name, location: place.description,
        problem: "expected \(expected), found \(found.description); "
          + "the file was written from another configuration")
    }
    return found
  }

  private func layout(of place: Place) throws -> Layout {
    switch place {
    case .dataset(let path):
      try require(.dataset, at: path)
    case .attribute(_, let path):
      guard try contains(path) else { throw missing("a group or dataset", at: path) }
    }
    guard let layout = try contents.layout(of: place) else {
      throw missing("an attribute of that name", at: place.description)
    }
    return layout
  }

  private func require(_ object: MemoryFile.Object, at path: String) throws {
    guard let found = try contents.object(at: path) else { throw missing("a \(object)", at: path) }
    guard found == object else {
      throw HDF5Error(
        reason: .mismatch, file: contents.name, location: path,
        problem: "expected a \(object), found a \(found); the file was written by another version")
    }
  }

  private func missing(_ expected: String, at location: String) -> HDF5Error {
    HDF5Error(
      reason: .missing, file: contents.name, location: location,
      problem: "expected \(expected), found nothing; the file was written by another version "
        + "or from another configuration")
  }
}
