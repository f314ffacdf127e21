import Checkpoints
import Foundation
import Synchronization
import TaskRegistry
import TestSupport
import Testing
import Training

@testable import Replication
@testable import Files
@testable import Runs

/// Copies of checkpoints on a second host: here two folders, and two ends of a link in memory.
@Suite(.serialized) struct CopyTests {
  /// One end. Like MPI it delivers in order, and nothing before it is asked.
  private final class Link: RankLink {
    final class Line: @unchecked Sendable {
      private let lock = NSLock()
      private var messages: [[UInt8]] = []
      /// Changes the next piece of a file.
      var damage: ((inout [UInt8]) -> Void)?

      var count: Int { lock.withLock { messages.count } }
      func append(_ message: [UInt8]) { lock.withLock { messages.append(message) } }
      func removeFirst() -> [UInt8]? { lock.withLock { messages.isEmpty ? nil : messages.removeFirst() } }
    }
    let out: Line
    let into: Line
    init(out: Line, into: Line) {
      self.out = out
      self.into = into
    }
    func send(_ message: [UInt8], to rank: Int) {
      var message = message
      if message[0] == FileMessage.piece.rawValue, let damage = out.damage {
        damage(&message)
        out.damage = nil
      }
      out.append(message)
    }
    func sending(to rank: Int) -> Int { out.count }
    func receive(from rank: Int) -> [UInt8]? { into.removeFirst() }
  }

  private let folder: TemporaryFolder
  private let own: CheckpointStore
  private let other: CheckpointStore
  private let forth = Link.Line()
  private let back = Link.Line()
  private let receiver: FileReceiver

  /// A run with a checkpoint every 4 steps, all kept.
  init() throws {
    folder = try TemporaryFolder()
    let configuration = try ConfigurationReader.read(
      yaml: """
        name: own
        corpus: {sampleLines: 150, cache: \(folder.file("corpora"))}
        model: {embeddingSize: 8, hiddenSizes: [8]}
        training: {batchSize: 10, sequenceLength: 12, epochs: 1}
        coordinator: {checkpoint: [4 steps]}
        generation: {length: 5, temperatures: [1]}
        output: {directory: \(folder.file("checkpoints")), keep: 0}
        """)
    #expect(
      try Run(
        configuration, task: configuration.task.task, group: SingleRank(), reporter: SilentReporter(), resume: .auto
      ).start() == .finished)
    own = CheckpointStore(folder.file("checkpoints/own"))
    other = CheckpointStore(folder.file("checkpoints/other"))
    try #require(own.steps().count >= 4)
    receiver = FileReceiver(Link(out: back, into: forth), from: 0, into: other)
  }

  private func copier(held: [Int: String] = [:]) -> CheckpointCopier {
    CheckpointCopier(own, FileSender(Link(out: forth, into: back), to: 1), host: "node2", held: held)
  }

  /// Until all is there, `between` being called in turn.
  private func settle(_ copier: CheckpointCopier, between: () -> Void = {}) throws -> [CheckpointCopier.Outcome] {
    var outcomes: [CheckpointCopier.Outcome] = []
    let deadline = ContinuousClock.now + .seconds(20)
    while !copier.isIdle, .now < deadline {
      if let outcome = try copier.move() { outcomes.append(outcome) }
      between()
      try receiver.move()
      usleep(100)
    }
    #expect(copier.isIdle)
    return outcomes
  }

  private func expectSame(_ steps: [Int], sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try other.steps() == steps, sourceLocation: sourceLocation)
    for step in steps {
      let both = try [own, other].map { store in try MappedFile.withBytes(of: store.path(step: step)) { Array($0) } }
      #expect(both[0] == both[1], sourceLocation: sourceLocation)
    }
    #expect(
      try FileSystem.list(other.directory).allSatisfy { !$0.contains("partial") }, sourceLocation: sourceLocation)
  }

  @Test func theNewestTheBestAndTheCurvesAreCopiedOnce() throws {
    let steps = try own.steps()
    let copier = copier()
    #expect(copier.isIdle)
    copier.saved(step: steps[2], best: steps[1])
    let outcomes = try settle(copier)
    #expect(outcomes.map(\.step) == [steps[2]] && outcomes[0].error == nil && outcomes[0].bytes > 1000)
    try expectSame(Array(steps[1...2]))
    #expect(try Curves(path: "\(other.directory)/curves.h5") == Curves(path: "\(own.directory)/curves.h5"))
    copier.saved(step: steps[2], best: steps[1])
    #expect(try settle(copier).map(\.bytes) == [0])
    // What the other side had before need not go either, if it is the same.
    let known = self.copier(
      held: try Dictionary(
        uniqueKeysWithValues: steps.prefix(3).map {
          ($0, try CheckpointFile.digest(of: own.path(step: $0)))
        }))
    known.saved(step: steps[2], best: steps[1])
    #expect(try settle(known).map(\.bytes) == [0])
    let differs = self.copier(held: [steps[2]: "another"])
    differs.saved(step: steps[2], best: nil)
    #expect(try settle(differs)[0].bytes > 1000)
  }

  @Test func whatIsSavedMeanwhileComesNext() throws {
    let steps = try own.steps()
    let copier = copier()
    copier.saved(step: steps[0], best: nil)
    #expect(try copier.move() == nil)
    copier.saved(step: steps[1], best: nil)
    copier.saved(step: steps[3], best: nil)
    #expect(try settle(copier).map(\.step) == [steps[0], steps[3]])
    try expectSame([steps[0], steps[3]])
  }

  @Test func theSameOnesAreKept() throws {
    let steps = try own.steps()
    let copier = copier()
    for step in steps.prefix(3) {
      copier.saved(step: step, best: nil)
      _ = try settle(copier)
    }
    try expectSame(Array(steps.prefix(3)))
    // As `output.keep` and the best leave them on the first rank's host.
    for step in [steps[0], steps[2]] { try FileSystem.remove(own.path(step: step)) }
    copier.saved(step: steps[3], best: steps[1])
    _ = try settle(copier)
    try expectSame([steps[1], steps[3]])
  }

  @Test func aFullDiskIsToldEachTimeAndLeavesWhatWasThere() throws {
    let steps = try own.steps()
    let copier = copier()
    copier.saved(step: steps[0], best: nil)
    _ = try settle(copier)
    var calls = 1
    var told = 0
    while true {
      copier.saved(step: steps[1], best: nil)
      var outcomes: [CheckpointCopier.Outcome] = []
      let faults = try FaultPlan.during(
        FaultPlan(path: other.directory, call: calls, code: ENOSPC, extent: .lasting)
      ) { outcomes = try settle(copier) }
      if faults.failed.isEmpty { break }
      told += 1
      #expect(outcomes.count == 1 && outcomes[0].error?.contains("No space left on device") == true)
      #expect(throws: Never.self) { try CheckpointFile(other.path(step: steps[0])) }
      #expect(try FileSystem.list(other.directory).allSatisfy { !$0.contains("partial") }, "call \(calls)")
      calls += 1
    }
    #expect(told >= 4)
    copier.saved(step: steps[2], best: nil)
    #expect(try settle(copier).map(\.error) == [nil])
    #expect(throws: Never.self) { try CheckpointFile(other.path(step: steps[2])) }
  }

  @Test func whatArrivesDamagedIsNoCopy() throws {
    let steps = try own.steps()
    let copier = copier()
    forth.damage = { $0[$0.count / 2] ^= 1 }
    copier.saved(step: steps[0], best: nil)
    #expect(try settle(copier)[0].error?.contains("arrived with another SHA-256") == true)
    #expect(try other.steps().isEmpty)
    copier.saved(step: steps[1], best: nil)
    #expect(try settle(copier)[0].error == nil)
    try expectSame([steps[1]])
  }

  @Test func whatIsGivenUpLeavesNothing() throws {
    let steps = try own.steps()
    let copier = copier()
    copier.saved(step: steps[0], best: nil)
    #expect(try copier.settle(seconds: 0, abandons: false).isEmpty && !copier.isIdle)
    // The other side takes nothing until time is up.
    nonisolated(unsafe) let receiver = receiver
    let isDone = Atomic(false)
    let thread = Thread {
      usleep(2_000_000)
      while !isDone.load(ordering: .relaxed) {
        do { try receiver.move() } catch { Issue.record(error) }
        usleep(100)
      }
    }
    withExtendedLifetime(isDone) { thread.start() }
    let outcomes = try copier.settle(seconds: 0.05, abandons: true)
    #expect(outcomes.map(\.error) == ["it took over 0 s at the end of the run"])
    try copier.sayOver()
    isDone.store(true, ordering: .relaxed)
    while !thread.isFinished { usleep(100) }
    #expect(try FileSystem.list(other.directory) == [])
  }

  @Test func aStuckDiskHoldsUpNeitherSide() throws {
    let steps = try own.steps()
    try FileSystem.createDirectory(other.directory)
    // To open it takes a reader, and until then as long as a dead file system.
    let pipe = "\(other.path(step: steps[0])).partial-\(getpid())"
    try #require(mkfifo(pipe, 0o600) == 0)
    nonisolated(unsafe) let receiver = FileReceiver(
      Link(out: back, into: forth), from: 0, into: other, patience: 0.2)
    let thread = Thread {
      do { try receiver.moveUntilOver() } catch { Issue.record(error) }
    }
    thread.start()
    let copier = copier()
    copier.answerSeconds = 0.3
    copier.saved(step: steps[0], best: nil)
    let outcomes = try copier.settle(seconds: 0.1, abandons: true)
    #expect(outcomes.count == 1 && outcomes[0].error?.contains("node2 gave no answer") == true)
    #expect(copier.isIdle)
    try copier.sayOver()
    while !thread.isFinished { usleep(100) }
    #expect(try other.steps().isEmpty)
    close(open(pipe, O_RDONLY | O_NONBLOCK))
  }

  @Test func aRoundWhoseCheckpointIsGoneLetsNothingGo() throws {
    let steps = try own.steps()
    let copier = copier()
    copier.saved(step: steps[0], best: nil)
    _ = try settle(copier)
    copier.saved(step: steps[1], best: nil)
    for step in steps.prefix(2) { try FileSystem.remove(own.path(step: step)) }
    #expect(try settle(copier).isEmpty)
    #expect(try other.steps() == [steps[0]])
  }

  @Test func aDamagedCheckpointIsNoCopy() throws {
    let steps = try own.steps()
    let newest = try #require(steps.last)
    #expect(try FolderState(own).digests.keys.sorted() == steps)
    var bytes = try MappedFile.withBytes(of: own.path(step: newest)) { Array($0) }
    bytes[bytes.count / 2] ^= 1
    try OutputFile.replace(own.path(step: newest)) { try $0.write(bytes) }
    let state = try FolderState(own)
    #expect(state.notes.count == 1 && state.digests.keys.sorted() == Array(steps.dropLast()))
  }
}
