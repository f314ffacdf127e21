import Files
import Glibc
import HDF5Files
import TestSupport
import Testing

@Suite struct SaveTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("file.h5")
  }

  private func writer(value: Float = 1) throws -> HDF5Writer {
    let writer = try HDF5Writer(kind: "checkpoint", formatVersion: 4)
    try writer.group("/state/inner")
    try writer.write([Float](repeating: value, count: 5000), at: "/network/weight")
    for index in 0..<20 { try writer.write([Double(index)], at: "/network/more/\(index)") }
    try writer.write(text: "learningRate: 0.5", at: "/configuration")
    for index in 0..<20 { try writer.attribute("attribute \(index)", "text \(index)", at: "/network") }
    return writer
  }

  @Test func equalContentsGiveEqualBytes() throws {
    try writer().save(to: path)
    let first = try bytes(of: path)
    sleep(2)  // times in a file would count seconds
    try writer().save(to: path)
    #expect(try bytes(of: path) == first)
    try writer(value: 2).save(to: path)
    #expect(try bytes(of: path) != first)
  }

  @Test func header() throws {
    try writer().save(to: path)
    let header = try ContainerHeader.read(path)
    #expect(header.kind == "checkpoint")
    #expect(header.formatVersion == 4)
    #expect(try header.length == FileSystem.status(path).size - ContainerHeader.size)
    #expect(header.digest.count == 32)
    try writer(value: 2).save(to: path)
    #expect(try ContainerHeader.read(path).digest != header.digest)
  }

  @Test func smallFilesAreSmall() throws {
    let writer = try HDF5Writer(kind: "model", formatVersion: 1)
    try writer.write([Float(1)], at: "/value")
    try writer.save(to: path)
    #expect(try FileSystem.status(path).size < 4096)
  }

  @Test func savingAgainAddsWhatIsNew() throws {
    let writer = try writer()
    try writer.save(to: path)
    try writer.write([1.0], at: "/late")
    try writer.save(to: path)
    let reader = try HDF5Reader(path: path, kind: "checkpoint", newestVersion: 4)
    #expect(try reader.array(of: Double.self, at: "/late") == [1])
    #expect(try reader.text(at: "/configuration") == "learningRate: 0.5")
  }

  /// A file that is replaced stays readable for those who have it open.
  @Test func readersKeepTheirFile() throws {
    try writer(value: 1).save(to: path)
    let old = try HDF5Reader(path: path, kind: "checkpoint", newestVersion: 4)
    try writer(value: 2).save(to: path)
    let new = try HDF5Reader(path: path, kind: "checkpoint", newestVersion: 4)
    #expect(try old.array(of: Float.self, at: "/network/weight").allSatisfy { $0 == 1 })
    #expect(try new.array(of: Float.self, at: "/network/weight").allSatisfy { $0 == 2 })
  }

  @Test func fullDiskKeepsTheOldFile() throws {
    try writer(value: 1).save(to: path)
    let old = try bytes(of: path)
    // Where `OutputFile.replace` writes first: here every write finds the disk full.
    #expect(symlink("/dev/full", "\(path).partial-\(getpid())") == 0)
    let error = #expect(throws: FileError.self) { try writer(value: 2).save(to: path) }
    #expect(error?.code == ENOSPC)
    #expect(try bytes(of: path) == old)
    #expect(try FileSystem.list(folder.path) == ["file.h5"])
    try writer(value: 2).save(to: path)
    #expect(try bytes(of: path) != old)
  }

  @Test func impossibleTargets() throws {
    let writer = try writer()
    // A folder in which nobody can make files, not even root.
    #expect(throws: FileError.self) { try writer.save(to: "/sys/file.h5") }
    let inMissing = folder.file("none/file.h5")
    let missing = #expect(throws: FileError.self) { try writer.save(to: inMissing) }
    #expect(missing?.code == ENOENT)
    try write([1], to: path)
    let inFile = "\(path)/file.h5"
    let below = #expect(throws: FileError.self) { try writer.save(to: inFile) }
    #expect(below?.code == ENOTDIR)
    let taken = folder.file("taken")
    try FileSystem.createDirectory(taken)
    #expect(throws: FileError.self) { try writer.save(to: taken) }
    #expect(try FileSystem.list(folder.path) == ["file.h5", "taken"])
  }
}
