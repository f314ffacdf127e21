import Files
import Foundation
import Glibc
import PackedFiles
import TestSupport
import Testing

@Suite struct PackedFilesTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let endings = ["txt", "gz", "bz2", "xz"]
  private static let commands = ["gz": "gzip", "bz2": "bzip2", "xz": "xz"]

  private func lines(_ path: String, longest: Int = LineReader.longestLine) throws -> [String] {
    let reader = try PackedReader(path, longest: longest)
    var lines: [String] = []
    while let line = try reader.nextLine() { lines.append(String(decoding: line, as: UTF8.self)) }
    #expect(reader.line == lines.count && reader.bytesRead == reader.size)
    return lines
  }

  private func write(_ text: String, _ name: String) throws -> String {
    let writer = try PackedWriter(folder.file(name))
    try writer.write(text)
    try writer.finish()
    return folder.file(name)
  }

  private func run(_ command: String) throws -> Data {
    let process = Process()
    (process.executableURL, process.arguments) = (URL(fileURLWithPath: "/bin/sh"), ["-c", command])
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(command)")
    return output
  }

  /// Some megabytes that no library packs to nothing, with long lines.
  private static let text: String = {
    var random = SeededRandom(seed: 1)
    return (0..<60_000).map { line in
      String(UInt64.random(in: 0...(.max), using: &random), radix: 36)
        + (line % 20_000 == 7 ? String(repeating: "x", count: 1_500_000) : " a b")
    }.joined(separator: "\n") + "\n"
  }()

  @Test(arguments: endings) func whatIsWrittenIsRead(ending: String) throws {
    let path = try write(Self.text, "text.\(ending)")
    let expected = Self.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    #expect(try lines(path) == expected)
    let again = try write(Self.text, "again.\(ending)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(contentsOf: URL(fileURLWithPath: again)))
    if let command = Self.commands[ending] { #expect(try run("\(command) -dc \(path)") == Data(Self.text.utf8)) }
  }

  @Test(arguments: endings) func endsOfLinesAndFiles(ending: String) throws {
    for (text, expected) in [
      ("", []), ("\n", [""]), ("a", ["a"]), ("a\r\nb\n", ["a", "b"]), ("a\n\nb", ["a", "", "b"]), ("\r\n", [""]),
      ("a\r", ["a\r"]), ("a\r\r\n", ["a\r"]),
    ] {
      #expect(try lines(write(text, "text.\(ending)")) == expected, "\(text.debugDescription)")
    }
  }

  @Test(arguments: commands.keys.sorted()) func joinedFilesAreOne(ending: String) throws {
    let command = Self.commands[ending]!
    let path = folder.file("joined.\(ending)")
    _ = try run("(printf 'a\\nb' | \(command); printf 'c\\nd\\n' | \(command)) > \(path)")
    // What xz calls streams can be joined too; a reader of one must not stop at its end in silence.
    #expect(try lines(path) == ["a", "bc", "d"])
  }

  /// As bgzip and pbzip2 write them: blocks of the file end within members.
  @Test(arguments: commands.keys.sorted()) func manyJoinedFilesAreOne(ending: String) throws {
    let expected = (0..<40).map { "\($0) " + String(Self.text.dropFirst($0 * 100).prefix(50).filter { $0 != "\n" }) }
    var bytes: [UInt8] = []
    for line in expected { bytes += try Data(contentsOf: URL(fileURLWithPath: write(line + "\n", "one.\(ending)"))) }
    #expect(try lines(folder.write("joined.\(ending)", bytes)) == expected)
    let large = try Data(contentsOf: URL(fileURLWithPath: write(Self.text, "large.\(ending)")))
    #expect(try lines(folder.write("joined.\(ending)", bytes + large + bytes)).count == 60_000 + 80)
  }

  /// Of the second of two joined files, and what is no packed file behind the first.
  @Test(arguments: commands.keys.sorted()) func whatIsJoinedIsWhole(ending: String) throws {
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: write("a\nb\n", "text.\(ending)"))))
    for count in 1..<bytes.count {
      let path = try folder.write("joined.\(ending)", bytes + bytes.prefix(count))
      #expect(throws: DamagedFileError.self, "\(count)") { _ = try lines(path) }
    }
    let path = try folder.write("joined.\(ending)", bytes + Array("more text\n".utf8))
    #expect(throws: DamagedFileError.self) { _ = try lines(path) }
  }

  /// A pipe may give a byte at a time.
  @Test(arguments: commands.keys.sorted()) func aSlowPipeIsKnown(ending: String) throws {
    let packed = try Data(contentsOf: URL(fileURLWithPath: write("a\nb\n", "text.\(ending)")))
    let pipe = folder.file("pipe")
    try #require(mkfifo(pipe, 0o600) == 0)
    let writer = Thread {
      let descriptor = open(pipe, O_WRONLY)
      for byte in packed {
        withUnsafeBytes(of: byte) { #expect(Glibc.write(descriptor, $0.baseAddress, 1) == 1) }
        usleep(1_000)
      }
      close(descriptor)
    }
    writer.start()
    let reader = try PackedReader(pipe)
    var lines: [String] = []
    while let line = try reader.nextLine() { lines.append(String(decoding: line, as: UTF8.self)) }
    #expect(lines == ["a", "b"])
  }

  @Test(arguments: commands.keys.sorted()) func whatIsNotWholeIsNamed(ending: String) throws {
    let path = try write(String(Self.text.prefix(20_000)), "text.\(ending)")
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    for count in Array(0...12) + [bytes.count / 2, bytes.count - 1] {
      let cut = try folder.write("cut.\(ending)", bytes.prefix(count))
      #expect(throws: DamagedFileError.self, "\(count)") { _ = try lines(cut) }
    }
    for index in [0, 1, 2, bytes.count / 2, bytes.count - 6] {
      var damaged = bytes
      damaged[index] ^= 0x55
      let path = try folder.write("damaged.\(ending)", damaged)
      #expect(throws: DamagedFileError.self, "\(index)") { _ = try lines(path) }
    }
  }

  @Test func linesHaveALimit() throws {
    let path = try write("short\n" + String(repeating: "x", count: 11) + "\n", "text.txt")
    #expect(throws: LineError.self) { _ = try lines(path, longest: 10) }
    #expect(try lines(path, longest: 11).count == 2)
  }

  @Test func otherPackingsAndFoldersAreRefused() throws {
    let zip = try folder.write("text.zip", [0x50, 0x4B, 0x03, 0x04, 0, 0])
    #expect(throws: PackedFileError.self) { _ = try PackedReader(zip) }
    #expect(throws: FileError.self) { _ = try PackedReader(folder.path) }
    #expect(throws: FileError.self) { _ = try PackedReader(folder.file("missing")) }
  }

  @Test func damageIsToldWithItsPlace() throws {
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: write("a\nb\n", "text.gz"))))
    let path = try folder.write("cut.gz", bytes.dropLast())
    let expected =
      "\(path), after line 2: expected a packed file that is whole, but it ends too early; "
      + "use another copy, or pack it again"
    do {
      _ = try lines(path)
      Issue.record("nothing was thrown")
    } catch let error as DamagedFileError {
      #expect(error.description == expected)
    }
  }

  @Test func whatIsGivenUpLeavesNothing() throws {
    do {
      let writer = try PackedWriter(folder.file("text.gz"))
      try writer.write("begun")
    }
    #expect(try FileSystem.list(folder.path).isEmpty)
  }
}
