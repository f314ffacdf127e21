import Files
import HDF5Files
import TestSupport
import Testing

/// What is not as asked for is refused with a message that says so.
@Suite struct RefusalTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("file.h5")
    let writer = try HDF5Writer(kind: "curves", formatVersion: 2)
    try [Float](repeating: 0, count: 6).withUnsafeBufferPointer {
      try writer.write($0, shape: [2, 3], at: "/layer/weight")
    }
    try writer.write([Int64(1), 2], at: "/layer/steps")
    try writer.write(text: "words", at: "/text")
    try writer.attribute("step", 5)
    try writer.attribute("name", "lstm", at: "/layer")
    try writer.save(to: path)
  }

  private func open(kind: String = "curves", newestVersion: Int = 2) throws -> HDF5Reader {
    try HDF5Reader(path: path, kind: kind, newestVersion: newestVersion)
  }

  private func expect(
    _ reason: HDF5Error.Reason, saying words: String..., sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) {
    let error = #expect(throws: HDF5Error.self, sourceLocation: sourceLocation) { try body() }
    #expect(error?.reason == reason, sourceLocation: sourceLocation)
    for part in words + [path] {
      #expect(error?.description.contains(part) == true, sourceLocation: sourceLocation)
    }
  }

  @Test func foreignFiles() throws {
    let plainHDF5 = try Array(bytes(of: path).dropFirst(ContainerHeader.size))
    let foreign: [(contents: [UInt8], words: String)] = [
      ([], "an empty file"),
      (plainHDF5, "an HDF5 file of another program"),
      (Array("It was a bright cold day in April".utf8), "begins otherwise"),
      ([UInt8](repeating: 0, count: 2000), "begins otherwise"),
    ]
    for file in foreign {
      try write(file.contents, to: path)
      expect(.foreign, saying: "expected a file written by Lockstep", file.words) { _ = try open() }
      expect(.foreign, saying: file.words) { _ = try ContainerHeader.read(path) }
    }
  }

  @Test func foldersAndMissingFiles() throws {
    let folder = folder.path
    let isFolder = #expect(throws: FileError.self) {
      try HDF5Reader(path: folder, kind: "curves", newestVersion: 1)
    }
    #expect(isFolder?.description.contains("it is a folder") == true)
    let isMissing = #expect(throws: FileError.self) {
      try HDF5Reader(path: "\(folder)/none.h5", kind: "curves", newestVersion: 1)
    }
    #expect(isMissing?.description.contains("none.h5") == true)
  }

  @Test func otherKind() {
    expect(.otherKind, saying: "\"checkpoint\"", "\"curves\"") { _ = try open(kind: "checkpoint") }
  }

  @Test func newerFormat() {
    expect(.newer, saying: "curves format", "up to version 1", "found version 2", "newer Lockstep") {
      _ = try open(newestVersion: 1)
    }
  }

  @Test func newerLayout() throws {
    var contents = try bytes(of: path)
    contents[8] = 2
    try write(contents, to: path)
    expect(.newer, saying: "file layout", "up to version 1", "found version 2") { _ = try open() }
    expect(.newer) { _ = try ContainerHeader.read(path) }
  }

  @Test func missing() throws {
    let reader = try open()
    expect(.missing, saying: "/layer/bias", "a dataset") { _ = try reader.shape(at: "/layer/bias") }
    expect(.missing, saying: "/none/at/all", "a dataset") { _ = try reader.text(at: "/none/at/all") }
    expect(.missing, saying: "/none", "a group") { _ = try reader.names(in: "/none") }
    expect(.missing, saying: "/, attribute \"stop\"") { _ = try reader.attribute("stop") as Int }
    expect(.missing, saying: "/none", "a group or dataset") {
      _ = try reader.attribute("step", at: "/none") as Int
    }
  }

  @Test func wrongType() throws {
    let reader = try open()
    expect(
      .mismatch, saying: "/layer/steps", "32-bit floats of one dimension", "64-bit integers of shape [2]"
    ) {
      _ = try reader.array(of: Float.self, at: "/layer/steps")
    }
    expect(.mismatch, saying: "/text", "bytes of one dimension", "a single value (text)") {
      _ = try reader.array(of: UInt8.self, at: "/text")
    }
    expect(.mismatch, saying: "/layer/steps", "a single text") { _ = try reader.text(at: "/layer/steps") }
    expect(.mismatch, saying: "attribute \"step\"", "64-bit floats", "64-bit integers") {
      _ = try reader.attribute("step") as Double
    }
    expect(.mismatch, saying: "/layer, attribute \"name\"", "64-bit integers", "text") {
      _ = try reader.attribute("name", at: "/layer") as Int
    }
    expect(.mismatch, saying: "/layer", "expected a dataset, found a group") {
      _ = try reader.shape(at: "/layer")
    }
    expect(.mismatch, saying: "/text", "expected a group, found a dataset") {
      _ = try reader.names(in: "/text")
    }
  }

  @Test(arguments: [[3, 2], [6], [2, 3, 1], [1, 2, 3], []]) func wrongShape(shape: [Int]) throws {
    let reader = try open()
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: shape.reduce(1, *))
    defer { buffer.deallocate() }
    let expected = shape.isEmpty ? "expected a single value" : "of shape \(shape)"
    expect(.mismatch, saying: "/layer/weight", expected, "found 32-bit floats of shape [2, 3]") {
      try reader.read("/layer/weight", shape: shape, into: buffer)
    }
  }

  @Test func wrongRank() throws {
    let reader = try open()
    expect(.mismatch, saying: "of one dimension", "found 32-bit floats of shape [2, 3]") {
      _ = try reader.array(of: Float.self, at: "/layer/weight")
    }
  }

  @Test func writingTwice() throws {
    let writer = try HDF5Writer(kind: "curves", formatVersion: 1)
    try writer.write([1.0], at: "/a")
    try writer.attribute("step", 1)
    let dataset = #expect(throws: HDF5Error.self) { try writer.write([2.0], at: "/a") }
    #expect(
      dataset?.description
        == "the curves file being built, at /a: the HDF5 library refused: "
        + "unable to create dataset: name already exists")
    let attribute = #expect(throws: HDF5Error.self) { try writer.attribute("step", 2) }
    #expect(attribute?.location == "/, attribute \"step\"")
    let below = #expect(throws: HDF5Error.self) { try writer.write([2.0], at: "/a/b") }
    #expect(below?.reason == .library)
    // What such a writer holds is not what was asked for.
    let old = try bytes(of: path)
    let saved = #expect(throws: HDF5Error.self) { try writer.save(to: path) }
    #expect(saved == dataset)
    #expect(try bytes(of: path) == old)
  }
}
