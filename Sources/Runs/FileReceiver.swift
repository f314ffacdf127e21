import Checkpoints
import Files
import Foundation
import Training

/// Takes the files that a `FileSender` sends into a run's folder, each whole or not at all: whoever has it calls `move` now
/// and then. A thread of its own writes.
final class FileReceiver {
  private let link: any RankLink
  private let rank: Int
  private let thread = StorageThread()
  private let writing: Writing
  private var isOver = false

  init(_ link: any RankLink, from rank: Int, into store: CheckpointStore) {
    self.link = link
    self.rank = rank
    writing = Writing(store)
  }

  deinit { thread.end() }

  /// The first error since the beginning, in its own words.
  var failure: String? { writing.failure }

  /// Takes what has come, if there is nothing to write.
  func move() throws {
    _ = try link.sending(to: rank)
    guard !thread.isBusy else { return }
    if let answer = writing.answer {
      writing.answer = nil
      try link.send(Array(JSONEncoder().encode(answer)), to: rank)
    }
    guard let message = try link.receive(from: rank), let kind = message.first.flatMap(FileMessage.init) else { return }
    if kind == .over {
      isOver = true
    } else {
      thread.start { [writing] in writing.take(kind, message.dropFirst()) }
    }
  }

  /// Takes all that comes, asleep in between, until nothing more does.
  func moveUntilOver() throws {
    isOver = false
    while !isOver {
      try move()
      usleep(CorpusDistribution.pollMicroseconds)
    }
    while try link.sending(to: rank) > 0 { usleep(CorpusDistribution.pollMicroseconds) }
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
          throw RunError.failed("\(file.path) arrived with another SHA-256 than was sent")
        }
        try file.publish()
        self.file = nil
      case .abandon: throw RunError.failed(String(decoding: bytes, as: UTF8.self))
      case .keep:
        let steps = try JSONDecoder().decode([Int].self, from: Data(bytes))
        for step in try store.steps() where !steps.contains(step) { try FileSystem.remove(store.path(step: step)) }
      case .over: break
      }
    }
  }
}
