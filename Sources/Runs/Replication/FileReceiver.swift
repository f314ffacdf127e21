import Checkpoints
import Files
import Foundation
import Training

/// Takes the files that a `FileSender` sends into a run's folder, each whole or not at all: whoever has it calls `move` now
/// and then. A thread of its own writes.
public final class FileReceiver {
  private let link: any RankLink
  private let rank: Int
  private let thread = StorageThread()
  private let writing: Writing
  /// For how many seconds one write is waited for before the disk counts as stuck.
  private let patience: Double
  private var begun = ContinuousClock.now
  private var isOver = false
  /// Whether some of the file under way was passed over.
  private var hasGap = false
  /// Whether its end was, too.
  private var owesAnswer = false

  public init(_ link: any RankLink, from rank: Int, into store: CheckpointStore, patience: Double = 10) {
    self.link = link
    self.rank = rank
    self.patience = patience
    writing = Writing(store)
  }

  deinit {
    while thread.isBusy && !isStuck { usleep(1000) }
    if thread.isBusy {
      // In a write that may never return: it keeps its memory for as long as the process is.
      _ = Unmanaged.passRetained(writing)
      _ = Unmanaged.passRetained(thread)
    } else {
      thread.end()
    }
  }

  /// Whether the write under way, if there is one, takes longer than is waited for.
  private var isStuck: Bool { seconds(since: begun) > patience }

  private func seconds(since begin: ContinuousClock.Instant) -> Double { (.now - begin) / .seconds(1) }

  /// The first error since the beginning, in its own words.
  public var failure: String? { writing.failure }

  /// Takes what has come, if there is nothing to write.
  public func move() throws {
    _ = try link.sending(to: rank)
    guard !thread.isBusy else { return }
    if let answer = writing.answer {
      writing.answer = nil
      try link.send(Array(JSONEncoder().encode(answer)), to: rank)
    }
    if owesAnswer { return refuse() }
    guard let (kind, bytes) = try next() else { return }
    switch kind {
    case .over: isOver = true
    case .begin where hasGap, .piece where hasGap: break
    case _ where hasGap: refuse()
    default: start(kind, bytes)
    }
  }

  private func next() throws -> (kind: FileMessage, bytes: ArraySlice<UInt8>)? {
    guard let message = try link.receive(from: rank), let kind = message.first.flatMap(FileMessage.init) else {
      return nil
    }
    return (kind, message.dropFirst())
  }

  private func start(_ kind: FileMessage, _ bytes: ArraySlice<UInt8>) {
    begun = .now
    thread.start { [writing] in writing.take(kind, bytes) }
  }

  /// Answers for a file with a gap that it is none.
  private func refuse() {
    hasGap = false
    owesAnswer = false
    start(.abandon, Array("the disk there took over \(Int(patience)) s for one write".utf8)[...])
  }

  /// Takes a message while the disk is stuck, so that who sends need not wait for it. Nothing but `over` comes while
  /// the end of a file is being written, so that such a file stays whole, however long that takes.
  private func passOver() throws {
    guard let (kind, _) = try next() else { return }
    if kind == .over {
      isOver = true
    } else {
      hasGap = true
      owesAnswer = kind != .begin && kind != .piece
    }
  }

  /// Takes all that comes, asleep in between, until nothing more does. Where the disk is stuck, what comes is not
  /// written, and who sends it warns. `meanwhile` is called now and then.
  public func moveUntilOver(_ meanwhile: () -> Void = {}) throws {
    isOver = false
    while !isOver {
      meanwhile()
      try move()
      if thread.isBusy && isStuck && !isOver { try passOver() }
      usleep(Self.pollMicroseconds)
    }
    // Who sends may have stopped listening.
    let end = ContinuousClock.now
    while try link.sending(to: rank) > 0 && seconds(since: end) < patience {
      usleep(Self.pollMicroseconds)
    }
  }

  private static let pollMicroseconds: UInt32 = 200

  /// Why a file did not arrive whole.
  private struct TransferError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
  }

  /// Used by the thread while it has a job, and by its owner otherwise.
  private final class Writing: @unchecked Sendable {
    private let store: CheckpointStore
    private var file: OutputFile?
    private var digest = Digest()
    private var error: String?
    var failure: String?
    var answer: FileAnswer?

    init(_ store: CheckpointStore) { self.store = store }

    func take(_ kind: FileMessage, _ bytes: ArraySlice<UInt8>) {
      do {
        try handle(kind, bytes)
      } catch {
        file = nil  // removes it
        if self.error == nil { self.error = "\(error)" }
      }
      guard kind != .begin && kind != .piece else { return }
      failure = failure ?? error
      answer = FileAnswer(error: error)
      error = nil
    }

    private func handle(_ kind: FileMessage, _ bytes: ArraySlice<UInt8>) throws {
      switch kind {
      case .begin:
        error = nil
        digest = Digest()
        let name = FileSystem.name(of: String(decoding: bytes, as: UTF8.self))
        try FileSystem.createDirectory(store.directory)
        file = try OutputFile.replacing("\(store.directory)/\(name)")
      case .piece:
        guard error == nil else { return }
        try bytes.withUnsafeBytes {
          digest.update($0)
          try file?.write($0)
        }
      case .end:
        guard error == nil, let file else { return }
        guard digest.finish()[...] == bytes else {
          throw TransferError("\(file.path) arrived with another SHA-256 than was sent")
        }
        try file.publish()
        self.file = nil
      case .abandon: throw TransferError(String(decoding: bytes, as: UTF8.self))
      case .keep:
        let steps = try JSONDecoder().decode([Int].self, from: Data(bytes))
        for step in try store.steps() where !steps.contains(step) { try FileSystem.remove(store.path(step: step)) }
      case .over: break
      }
    }
  }
}
