import Testing

@testable import Launching

/// What mpirun writes to standard error when ranks have ended, and what of it people see.
@Suite struct StatusBlocksTests {
  private static let dashes = String(repeating: "-", count: 74) + "\n"

  private static func block(_ text: String) -> String { dashes + text + "\n" + dashes }

  private static let openMPI4 =
    block(
      "Primary job  terminated normally, but 1 process returned\na non-zero exit code. Per user-direction, the job has been aborted."
    )
    + block(
      "mpirun detected that one or more processes exited with non-zero status, thus causing\nthe job to be terminated. The first "
        + "process to do so was:\n\n  Process name: [[46077,1],0]\n  Exit code:    75")

  private static let openMPI5 = block(
    "prterun detected that one or more processes exited with non-zero status, thus causing\nthe job to be terminated. The first "
      + "process to do so was:\n\n   Process name: [prterun-vm-7@1,0]\n   Exit code:    75")

  private static let killed = block(
    "mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed).")

  /// All that is shown of a text that comes in pieces of so many bytes.
  private func shown(_ text: String, hiding: Bool, pieces: Int = .max) -> String {
    var blocks = StatusBlocks()
    var shown: [UInt8] = []
    var left = Array(text.utf8)[...]
    while !left.isEmpty {
      shown += blocks.take(left.prefix(pieces))
      left = left.dropFirst(pieces)
    }
    return String(decoding: shown + blocks.end(hiding: hiding), as: UTF8.self)
  }

  @Test(arguments: [openMPI4, openMPI5], [1, 7, .max])
  func statusesAreHiddenWhereTheyAreKnown(blocks: String, pieces: Int) {
    let text = "lockstepd: warning: a\n\(blocks)b\n"
    #expect(shown(text, hiding: true, pieces: pieces) == "lockstepd: warning: a\nb\n")
    // They come last else, and whole.
    #expect(shown(text, hiding: false, pieces: pieces) == "lockstepd: warning: a\nb\n\(blocks)")
  }

  /// Other news of mpirun's, dashes of anybody's, and a block that never ends.
  @Test(arguments: [
    killed, "a\n\(killed)b", killed + killed, dashes, dashes + dashes + "x",
    "----\nPrimary job  terminated normally, but \n----\n",
    dashes + "Primary job  terminated normally, but 1 process\nand then nothing", "no line end", "",
  ])
  func allElseIsShown(text: String) {
    for pieces in [1, 7, .max] {
      for hiding in [false, true] { #expect(shown(text, hiding: hiding, pieces: pieces) == text) }
    }
  }

  @Test func newsBesideStatusesIsShown() {
    #expect(shown(Self.openMPI4 + Self.killed + Self.openMPI4, hiding: true) == Self.killed)
    #expect(shown(Self.killed + Self.openMPI4 + "x\n", hiding: true) == Self.killed + "x\n")
  }

  /// What may be the beginning of a block waits no longer than a moment.
  @Test func nothingElseWaits() {
    var blocks = StatusBlocks()
    #expect(String(decoding: blocks.take(Array("a\n".utf8)), as: UTF8.self) == "a\n")
    #expect(blocks.take(Array((Self.dashes + "half a li").utf8)).isEmpty)
    #expect(String(decoding: blocks.settle(), as: UTF8.self) == Self.dashes + "half a li")
    #expect(String(decoding: blocks.take(Array("ne\n".utf8)), as: UTF8.self) == "ne\n")
    let long = Self.dashes + "Primary job  terminated normally, but \n" + String(repeating: "x\n", count: 2000)
    #expect(String(decoding: blocks.take(Array(long.utf8)), as: UTF8.self) == long, "no block is so long")
  }
}
