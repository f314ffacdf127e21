import Checkpoints
import Files
import Foundation
import Training

/// What goes from a `FileSender` to a `FileReceiver`: the kind, in a byte, and the rest.
enum FileMessage: UInt8 {
  /// A file begins; its name.
  case begin
  case piece
  /// The file is complete; its SHA-256.
  case end
  /// No more of the file will come; why.
  case abandon
  /// Checkpoints of other steps than these can go; JSON.
  case keep
  /// Nothing more for now.
  case over
}

/// What comes back for each file and each `keep`.
public struct FileAnswer: Codable, Equatable {
  public var error: String?
}

/// Sends files to another rank while other things are done: whoever has it calls `move` now and then. A thread of its own
/// reads and digests; a few megabytes are in memory.
public final class FileSender {
  private let link: any RankLink
  private let rank: Int
  private let thread = StorageThread()
  private var reading: Reading?
  /// Whether an answer is to come.
  private(set) var isBusy = false

  public static let pieceSize = 1 << 22

  public init(_ link: any RankLink, to rank: Int) {
    self.link = link
    self.rank = rank
  }

  deinit { thread.end() }

  /// A file, used by the thread while it has a job and by its owner otherwise.
  private final class Reading: @unchecked Sendable {
    private let file: MappedFile
    private var digest = Digest()
    private var offset = 0
    /// Read and not sent yet.
    var message: [UInt8]?
    var isAtEnd = false

    init(_ path: String) throws { file = try MappedFile(path) }

    func read() {
      guard offset < file.bytes.count else {
        message = [FileMessage.end.rawValue] + digest.finish()
        isAtEnd = true
        return
      }
      let piece = offset..<min(offset + FileSender.pieceSize, file.bytes.count)
      let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[piece])
      digest.update(bytes)
      message = [FileMessage.piece.rawValue] + bytes
      file.release(piece)
      offset = piece.upperBound
    }
  }

  /// Begins with a file, under its own name there. Throws `FileError` if it cannot be opened.
  public func start(_ path: String) throws {
    precondition(!isBusy, "one file at a time")
    let reading = try Reading(path)
    self.reading = reading
    isBusy = true
    try link.send([FileMessage.begin.rawValue] + Array(FileSystem.name(of: path).utf8), to: rank)
    thread.start { reading.read() }
  }

  /// Lets checkpoints of other steps go.
  func keep(_ steps: [Int]) throws {
    precondition(!isBusy, "one thing at a time")
    isBusy = true
    try link.send([FileMessage.keep.rawValue] + Array(JSONEncoder().encode(steps)), to: rank)
  }

  /// Moves what is under way along, and returns how it went once it has come to its end.
  public func move() throws -> FileAnswer? {
    guard isBusy else { return nil }
    if let bytes = try link.receive(from: rank) {
      thread.finish()
      reading = nil
      isBusy = false
      return try JSONDecoder().decode(FileAnswer.self, from: Data(bytes))
    }
    guard let reading, try link.sending(to: rank) < 2, !thread.isBusy, let message = reading.message else { return nil }
    reading.message = nil
    try link.send(message, to: rank)
    if reading.isAtEnd { self.reading = nil } else { thread.start { reading.read() } }
    return nil
  }

  /// Sends no more of the file under way; the answer still comes.
  public func abandon(because reason: String) throws {
    guard reading != nil else { return }
    thread.finish()
    reading = nil
    try link.send([FileMessage.abandon.rawValue] + Array(reason.utf8), to: rank)
  }

  /// Says that nothing more comes for now, and waits until all is on its way.
  public func sayOver() throws {
    try link.send([FileMessage.over.rawValue], to: rank)
    while try link.sending(to: rank) > 0 { usleep(1000) }
  }
}
