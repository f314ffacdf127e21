import Foundation
import Glibc
import TestSupport
import Testing

@testable import Corpus
@testable import Files

/// Files as users name them: whatever their names, packed, cut short, or no files at all.
@Suite struct InputFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  // MARK: Names

  @Test(
    arguments: [
      [0x61], [0x63, 0x61, 0x66, 0xE9], [0xFF, 0xFE], [0xC3, 0xA9, 0xC3], [0xEE, 0xBE, 0x80],
      [0xEE, 0x80, 0x80, 0xED, 0xA0, 0x80],
    ] as [[UInt8]])
  func namesAreBytes(name: [UInt8]) throws {
    let text = (name + [0]).withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { FileName.text(of: $0.baseAddress!) }
    }
    #expect(FileName.bytes(of: text).map(UInt8.init(bitPattern:)) == name + [0])
    try OutputFile.replace(folder.file(text)) { try $0.write("a b\nc d\n") }
    #expect(try FileSystem.list(folder.path) == [text])
    #expect(try MappedFile.withBytes(of: folder.file(text)) { $0.count } == 8)
    // From a folder, into a cache that is named after the text, and again out of it.
    for _ in 0..<2 {
      let corpus = try CorpusPreparation.open(
        CorpusConfiguration(text: PathList([folder.path]), split: [1, 0, 0], cache: folder.file("below/cache")))
      #expect(corpus.manifest.sources.map(\.path) == [folder.file(text)])
    }
    let corpus = try CorpusPreparation.open(
      CorpusConfiguration(text: PathList([folder.file(text)]), split: [1, 0, 0], cache: folder.file("below/other")))
    #expect(try corpus.part(.train).all().count == 6)
  }

  // MARK: Packed

  private static let packed: [(Packing, [UInt8])] = [
    (.gzip, [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 3]), (.compress, [0x1F, 0x9D, 0x90]),
    (.bzip2, [UInt8]("BZh91AY&SY".utf8) + [0xD1]),
    (.bzip2, [UInt8]("BZh9".utf8) + [0x17, 0x72, 0x45, 0x38, 0x50, 0x90]),
    (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 0, 4]), (.zstandard, [0x28, 0xB5, 0x2F, 0xFD, 4]),
    (.zstandard, [0x50, 0x2A, 0x4D, 0x18, 4]), (.lz4, [4, 0x22, 0x4D, 0x18]), (.zip, [UInt8]("PK\u{3}\u{4}".utf8)),
    (.zip, [UInt8]("PK\u{5}\u{6}".utf8)), (.sevenZip, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]),
    (.rar, [UInt8]("Rar!\u{1A}\u{7}".utf8)),
    (.tar, [UInt8]("text.txt".utf8) + [UInt8](repeating: 0, count: 249) + [UInt8]("ustar".utf8)),
  ]

  @Test func packedFilesAreToldByTheirFirstBytes() throws {
    #expect(Set(Self.packed.map(\.0)).count == Packing.allCases.count)
    for (packing, start) in Self.packed {
      #expect(Packing(firstBytes: start) == packing)
      for count in 0..<start.count - 3 where packing == .tar || count < 2 {
        #expect(Packing(firstBytes: start.prefix(count)) == nil)
      }
    }
    for text in [
      "BZh9 is how bzip2 begins", "PK", "Rar!", "7z", "PK\n", "P*M", String(repeating: "x", count: 257) + "ustar", "",
    ] {
      #expect(Packing(firstBytes: Array(text.utf8)) == nil)
    }
  }

  @Test(arguments: TokenizerKind.allCases)
  func packedTextsAreRefused(kind: TokenizerKind) throws {
    for (packing, start) in Self.packed {
      let path = try folder.write("packed", start + [UInt8](repeating: 10, count: 100))
      let tokenizer = Tokenizer(
        vocabulary: kind == .bytes
          ? .bytes : try Vocabulary(kind: kind, entries: kind == .words ? ["<unk>", "<eos>"] : ["\n"]))
      let advice = packing.unpack(path)
      func refused(_ body: () throws -> Void) {
        expectError(path, "expected a text, found \(packing.name)", advice, from: body)
      }
      refused { _ = try CorpusPreparation.open(folder.configuration(text: [path], tokenizer: kind)) }
      refused { _ = try CorpusPreparation.open(folder.configuration(tokenizer: kind) { $0.train = PathList([path]) }) }
      refused { _ = try TextTokens(file: path, tokenizer: tokenizer) }
      refused { _ = try Vocabulary(wordFile: path) }
      refused { _ = try Vocabulary.inRowOrder(file: path, kind: kind) }
      expectError(advice, "| lockstep … -") { _ = try LineReader(path).next() }
    }
  }

  // MARK: Pipes

  /// A FIFO with a text that somebody writes into it.
  private func pipe(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = folder.file(name)
    try #require(mkfifo(path, 0o600) == 0)
    Thread.detachNewThread {
      let descriptor = Glibc.open(path, O_WRONLY)
      _ = write(descriptor, bytes, bytes.count)
      close(descriptor)
    }
    return path
  }

  @Test func pipesAreCopied() throws {
    let file = try InputFile(folder.write("file", "abc"), temporaryFolder: folder.file("none"))
    #expect(!file.isCopy && file.path == folder.file("file") && file.name == file.path)
    let pipe = try pipe("pipe", Array("a b\n".utf8))
    var copy: InputFile? = try InputFile(pipe, temporaryFolder: folder.file("copies"))
    let path = try #require(copy?.path)
    for _ in 0..<2 { #expect(try MappedFile.withBytes(of: path) { String(decoding: $0, as: UTF8.self) } == "a b\n") }
    #expect(copy?.name == pipe && copy?.isCopy == true)
    // Nothing of it can be seen, so nothing has to be removed.
    if getenv("TMPDIR") == nil { #expect(try FileSystem.list(folder.file("copies")) == []) }
    copy = nil
    #expect(!FileSystem.exists(path))
    expectError("cannot open", "nowhere") { _ = try InputFile("nowhere") }
    #expect(InputFile.name(of: "/dev/stdin") == InputFile.standardInput)
  }

  @Test func pipesArePreparedAndNotTrainedOn() throws {
    let lines = (0..<100).map { "line \($0 % 7)\n" }.joined()
    let (text, words) = (try pipe("text", Array(lines.utf8)), try pipe("words", Array("line\n1\n2\n".utf8)))
    let corpus = try CorpusPreparation.prepare(
      CorpusConfiguration(text: PathList([text, text]), vocabulary: words), into: folder.file("made"))
    let plain = try folder.write("plain", lines)
    let (file, list) = (try folder.write("file", lines), try folder.write("list", "line\n1\n2\n"))
    let expected = try CorpusPreparation.prepare(
      CorpusConfiguration(text: PathList([plain, file]), vocabulary: list), into: folder.file("expected"))
    #expect(corpus.manifest.fingerprint == expected.manifest.fingerprint)
    #expect(corpus.manifest.sources.map(\.path) == [text, text, words])
    let bad = try pipe("bad", Array("a\nb ".utf8) + [0xFF])
    expectError("\(bad), line 2, byte 4", "expected UTF-8, found byte 0xFF") {
      _ = try CorpusPreparation.prepare(CorpusConfiguration(text: PathList([bad])), into: folder.file("half"))
    }
    for (path, name) in [(text, text), ("-", "standard input"), ("", "no path")] {
      expectError("corpus.text", name, "lockstep corpus prepare", "corpus.prepared") {
        _ = try CorpusPreparation.open(folder.configuration(text: [path]))
      }
    }
    expectError("corpus.vocabulary", "a pipe or a device") {
      _ = try CorpusPreparation.open(folder.configuration(text: [plain]) { $0.vocabulary = words })
    }
  }

  // MARK: Cut short

  @Test func filesCutShortAreNamed() async throws {
    let size = 64 << 10
    let path = try folder.write("cut.tokens", [UInt8](repeating: 1, count: size))
    let result = await #expect(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
      [path = path as String] in
      MappedFile.explainTruncation(as: "lockstep: error: ")
      let others = try (0..<3).map { _ in try MappedFile("/proc/self/exe") }
      let file = try MappedFile(path)
      withExtendedLifetime((others, file)) {
        truncate(path, 0)
        print(file.bytes.reduce(0) { $0 &+ Int($1) })
      }
    }
    let said = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
    #expect(
      said.contains(
        "lockstep: error: \(path): expected a file that does not change while it is read, found it truncated"))
    #expect(said.hasSuffix("start again\n"))
  }

  @Test func otherBusErrorsStayWhatTheyAre() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      MappedFile.explainTruncation(as: "x: ")
      raise(SIGBUS)
      raise(SIGBUS)
    }
  }
}
