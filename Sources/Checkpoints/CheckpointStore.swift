import Files
import Training

/// The checkpoints of one run: `step-00000123.h5` and so on in its folder.
public struct CheckpointStore: Sendable {
  public let directory: String

  public init(_ directory: String) { self.directory = directory }

  public func path(step: Int) -> String {
    let digits = String(step)
    return "\(directory)/step-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits).h5"
  }

  /// Steps of the checkpoints there are, in order. Names tell, not contents.
  public func steps() throws -> [Int] {
    guard FileSystem.exists(directory) else { return [] }
    return try FileSystem.list(directory).compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".h5") else { return nil }
      return Int(name.dropFirst(5).dropLast(3))
    }.sorted()
  }

  /// Saves a checkpoint under its step and returns its path. Makes the folder if need be.
  public func save(_ checkpoint: Checkpoint) throws -> String {
    try FileSystem.createDirectory(directory)
    let path = path(step: checkpoint.progress.step)
    try checkpoint.save(to: path)
    return path
  }

  /// The newest checkpoint that is whole, nil if there is none at all. Damaged ones are told to `damaged` and
  /// passed over; throws `CheckpointError.noneValid` when that leaves nothing.
  public func newest(damaged: (_ path: String, _ error: any Error) -> Void) throws -> CheckpointFile? {
    let steps = try steps()
    for step in steps.reversed() {
      do {
        return try CheckpointFile(path(step: step))
      } catch {
        damaged(path(step: step), error)
      }
    }
    if steps.isEmpty { return nil }
    throw CheckpointError.noneValid(directory: directory, damaged: steps.count)
  }

  /// Removes all but the last `keep` checkpoints and that of the best epoch; 0 keeps all.
  public func prune(keep: Int, best: Int?) throws {
    guard keep > 0 else { return }
    for step in try steps().dropLast(keep) where step != best {
      try FileSystem.remove(path(step: step))
    }
  }
}
