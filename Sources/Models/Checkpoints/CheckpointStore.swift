import Files
import Glibc
import HDF5Files
import Training

/// The checkpoints of one run: `step-00000123.h5` and so on in its folder.
public struct CheckpointStore: Sendable {
  public let directory: String

  public init(_ directory: String) { self.directory = directory }

  public func path(step: Int) -> String { "\(directory)/step-\(step.digits(8)).h5" }

  /// Steps of the checkpoints there are, in order. Names tell, not contents; what is no file is none.
  public func steps() throws -> [Int] { try named().filter { FileSystem.isFile(path(step: $0)) } }

  /// Steps for which there is something of a checkpoint's name, exactly as `path(step:)` writes it.
  private func named() throws -> [Int] {
    guard FileSystem.exists(directory) else { return [] }
    return try FileSystem.list(directory).compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".h5"), let step = Int(name.dropFirst(5).dropLast(3)), step >= 0,
        FileSystem.name(of: path(step: step)) == name
      else { return nil }
      return step
    }.sorted()
  }

  /// Whether there is anything of a run in the folder, be it damaged or somebody's notes.
  public func isEmpty() throws -> Bool { try names().isEmpty }

  /// What is in the folder, but for what a process has there only while it runs.
  private func names() throws -> [String] {
    try FileSystem.list(directory).filter {
      !["lock", "control.sock", "control.token"].contains($0) && !$0.hasPrefix(Self.signPrefix)
    }
  }

  private static let signPrefix = ".seen-"

  /// Leaves a sign in the folder by which others find that they see it too. Returns its path; remove it.
  public func leaveSign() throws -> String {
    let path = "\(directory)/\(Self.signPrefix)\(getpid())-\(UInt64.random(in: .min ... .max))"
    try OutputFile(path).finish()
    return path
  }

  /// Takes the run's folder for this process, making it if need be, and removes what interrupted saves have left.
  /// Throws `CheckpointError.inUse` if another process still has it after `patience` seconds: ranks outlive a killed
  /// mpirun by one or two.
  public func take(patience: Double = 5) throws -> FileLock {
    try FileSystem.createDirectory(directory)
    let lock: FileLock
    do {
      lock = try FileLock("\(directory)/lock", patience: patience)
    } catch let error as FileError where error.code == EWOULDBLOCK {
      throw CheckpointError.inUse(directory: directory)
    }
    for name in try FileSystem.list(directory) where name.contains(".h5.partial-") || name.hasPrefix(Self.signPrefix) {
      try FileSystem.remove("\(directory)/\(name)")
    }
    return lock
  }

  /// Saves a checkpoint under its step and returns its path.
  public func save(_ checkpoint: Checkpoint) throws -> String {
    let path = path(step: checkpoint.card.progress.step)
    try checkpoint.save(to: path)
    return path
  }

  /// Gives what has a checkpoint's name, and is none, another one. Returns that; nil if there is nothing.
  public func setAside(step: Int) throws -> String? {
    let path = path(step: step)
    guard FileSystem.exists(path) else { return nil }
    let number = (1...).first { !FileSystem.exists("\(path).set-aside-\($0)") } ?? 1
    let aside = "\(path).set-aside-\(number)"
    try FileSystem.rename(path, to: aside)
    return aside
  }

  /// The newest checkpoint that is whole, nil if there is none at all. Damaged ones, those of another step than they are
  /// named after, and what has such a name and is no file, are told to `damaged` and passed over; throws
  /// `CheckpointError.noneValid` when that leaves none of the files. What another program, another user or
  /// more memory could read is not damaged: such errors are thrown.
  public func newest(damaged: (_ path: String, _ error: any Error) -> Void) throws -> CheckpointFile? {
    var files = 0
    for step in try named().reversed() {
      let path = path(step: step)
      guard FileSystem.isFile(path) else {
        damaged(path, CheckpointError.notAFile(path: path))
        continue
      }
      files += 1
      do {
        let file = try CheckpointFile(path)
        let found = file.card.progress.step
        if found == step { return file }
        damaged(path, CheckpointError.misnamed(path: path, step: found))
      } catch let error as HDF5Error where error.reason != .newer {
        damaged(path, error)
      } catch let error as CheckpointError {
        damaged(path, error)
      }
    }
    if files == 0 { return nil }
    throw CheckpointError.noneValid(directory: directory, damaged: files)
  }

  /// What the newest checkpoint that is whole is, nil if there is none. It is read once, piece by piece, to verify it; of
  /// damaged ones `damaged` is told. Throws as `newest` does for what another program or more memory could read.
  public func newestSummary(damaged: (_ path: String, _ error: any Error) -> Void) throws -> CheckpointSummary? {
    do {
      return try newest(damaged: damaged).map(CheckpointSummary.init)
    } catch CheckpointError.noneValid {
      return nil
    }
  }

  /// Removes all but the last `keep` checkpoints (0: keeps all) up to step `newest`, which has just been saved, and those
  /// of the steps in `keeping`; then, while those left take more than `budget` bytes (nil: no limit), the oldest of them.
  /// The newest and those in `keeping` stay. Returns the bytes that are left. Those in `passedOver` are no checkpoints of
  /// this run, and later ones neither: they are left for people to see.
  @discardableResult
  public func prune(
    keep: Int, newest: Int, keeping: Set<Int>, passedOver: Set<String> = [], budget: Int? = nil
  ) throws -> Int {
    func remove(_ step: Int) throws { try FileSystem.remove(path(step: step)) }
    let steps = try steps().filter { $0 <= newest && !passedOver.contains(path(step: $0)) }
    let old = keep > 0 ? steps.dropLast(keep) : []
    for step in old where !keeping.contains(step) { try remove(step) }
    let kept = steps.filter { !old.contains($0) || keeping.contains($0) }
    var sizes = try kept.map { try FileSystem.status(path(step: $0)).size }
    guard let budget else { return sizes.reduce(0, +) }
    for (index, step) in kept.enumerated()
    where !keeping.contains(step) && step != newest && sizes.reduce(0, +) > budget {
      try remove(step)
      sizes[index] = 0
    }
    return sizes.reduce(0, +)
  }
}
