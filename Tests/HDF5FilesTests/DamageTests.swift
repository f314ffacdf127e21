import Files
import Glibc
import HDF5Files
import TestSupport
import Testing

/// Whatever happens to a file's bytes, it is refused before HDF5 sees it.
@Suite struct DamageTests {
  let folder: TemporaryFolder
  let path: String
  let size: Int

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("file.h5")
    let writer = try HDF5Writer(kind: "checkpoint", formatVersion: 1)
    try writer.write((0..<4000).map { Float($0) }, at: "/lstm/0/weight")
    try writer.write(text: "hiddenSize: 20", at: "/configuration")
    try writer.attribute("step", 17)
    try writer.save(to: path)
    size = try FileSystem.status(path).size
  }

  private func open() throws -> HDF5Reader {
    try HDF5Reader(path: path, kind: "checkpoint", newestVersion: 1)
  }

  /// Flips bits of one byte, expects a refusal and puts the byte back.
  private func expectRefused(flipping mask: UInt8, at offset: Int, _ descriptor: Int32) {
    var byte: UInt8 = 0
    #expect(pread(descriptor, &byte, 1, offset) == 1)
    byte ^= mask
    #expect(pwrite(descriptor, &byte, 1, offset) == 1)
    #expect(throws: HDF5Error.self, "bits \(mask) at \(offset)") { try open() }
    byte ^= mask
    #expect(pwrite(descriptor, &byte, 1, offset) == 1)
  }

  @Test func everyBitOfTheHeader() throws {
    let descriptor = Glibc.open(path, O_RDWR)
    defer { close(descriptor) }
    for offset in 0..<ContainerHeader.size {
      for bit in 0..<8 { expectRefused(flipping: 1 << bit, at: offset, descriptor) }
    }
    _ = try open()
  }

  @Test func bytesOfTheData() throws {
    let descriptor = Glibc.open(path, O_RDWR)
    defer { close(descriptor) }
    var random = SeededRandom(seed: 5)
    for offset in ContainerHeader.size..<size where offset < 3000 || offset % 7 == 0 {
      expectRefused(flipping: .random(in: 1...255, using: &random), at: offset, descriptor)
    }
    _ = try open()
  }

  @Test func truncation() throws {
    for length in (0..<size).reversed() where length < 1000 || length % 37 == 0 || size - length < 100 {
      #expect(truncate(path, length) == 0)
      let error = #expect(throws: HDF5Error.self, "cut to \(length)") { try open() }
      #expect(throws: HDF5Error.self, "cut to \(length)") { try ContainerHeader.read(path) }
      #expect(error?.reason == (length < 8 ? .foreign : .damaged), "cut to \(length)")
    }
  }

  @Test func bytesBehindTheEnd() throws {
    try write(bytes(of: path) + [0], to: path)
    #expect(throws: HDF5Error.self) { try open() }
    #expect(throws: HDF5Error.self) { try ContainerHeader.read(path) }
  }

  @Test func messageNamesFileAndRemedy() throws {
    #expect(truncate(path, size - 1) == 0)
    let error = #expect(throws: HDF5Error.self) { try open() }
    let data = size - ContainerHeader.size
    #expect(
      error?.description
        == "\(path): expected \(data) bytes after the header, found \(data - 1): "
        + "the file was cut short or changed; use another copy or an older file")
  }
}
