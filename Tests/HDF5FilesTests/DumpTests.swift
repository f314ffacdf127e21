import HDF5Files
import TestSupport
import Testing

/// Other HDF5 programs read the files as they are. Needs `h5dump`, which `launch/setup --tests` installs.
@Suite struct DumpTests {
  private func dump(_ arguments: String...) throws -> (status: Int32, output: String) {
    let outcome = try Programs.run("h5dump", arguments, in: "/")
    return (outcome.status, outcome.output + outcome.error)
  }

  @Test func h5dumpReadsFiles() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("file.h5")
    let writer = try HDF5Writer(kind: "model", formatVersion: 1)
    try [Float(0), 0.25, -1, 3].withUnsafeBufferPointer {
      try writer.write($0, shape: [2, 2], at: "/lstm/weight")
    }
    try writer.write(text: "hiddenSize: 20", at: "/configuration")
    try writer.attribute("step", 1234, at: "/lstm")
    try writer.save(to: path)

    let header = try dump("-B", "-H", path)
    #expect(header.status == 0, "h5dump of hdf5-tools is needed: \(header.output)")
    #expect(header.output.contains("USERBLOCK_SIZE \(ContainerHeader.size)"))
    #expect(header.output.contains("DATASPACE  SIMPLE { ( 2, 2 ) / ( 2, 2 ) }"))

    let contents = try dump(path)
    #expect(contents.status == 0)
    for part in ["0, 0.25", "-1, 3", "\"hiddenSize: 20\"", "(0): 1234"] {
      #expect(contents.output.contains(part), "\(contents.output)")
    }
  }
}
