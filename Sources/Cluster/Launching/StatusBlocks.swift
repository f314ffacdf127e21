/// Finds in what mpirun writes to standard error the blocks that only tell of exit statuses, and holds them back.
///
/// mpirun takes every status but 0 for a failure and says so at length, also where the ranks have saved what they had and
/// told why they end. Its blocks stand between lines of dashes, those of other news too, which pass.
struct StatusBlocks {
  private var line: [UInt8] = []
  /// A line of dashes, which may begin a block, or that with lines after it.
  private var frame: [UInt8] = []
  private var isInBlock = false
  private var held: [UInt8] = []

  /// How such blocks begin: with the words of Open MPI 4 and 5.
  private static let beginnings = [
    "Primary job  terminated normally, but ", "mpirun detected that one or more processes exited with non-zero status",
    "prterun detected that one or more processes exited with non-zero status",
  ]
  /// Blocks have fewer lines.
  private static let mostBytes = 2048

  /// What of that may be shown now.
  mutating func take(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    var shown: [UInt8] = []
    for byte in bytes {
      line.append(byte)
      if byte == UInt8(ascii: "\n") { shown += endLine() }
    }
    return shown
  }

  /// What of the rest may be shown now that nothing has come for a moment: mpirun writes its blocks in one piece.
  mutating func settle() -> [UInt8] {
    if isInBlock { return [] }
    defer { (frame, line) = ([], []) }
    return frame + line
  }

  /// What is left at the end, with what was held back unless that is to be hidden.
  mutating func end(hiding: Bool) -> [UInt8] {
    defer { self = StatusBlocks() }
    return (hiding ? [] : held) + frame + line
  }

  private mutating func endLine() -> [UInt8] {
    defer { line = [] }
    let isFrame = line.count > 70 && line.dropLast().allSatisfy { $0 == UInt8(ascii: "-") }
    if isInBlock {
      frame += line
      if isFrame { held += frame }
      guard isFrame || frame.count > Self.mostBytes else { return [] }
      defer { (frame, isInBlock) = ([], false) }
      return isFrame ? [] : frame
    }
    defer { if !isInBlock { frame = isFrame ? line : [] } }
    if isFrame { return frame }
    isInBlock = !frame.isEmpty && Self.beginnings.contains { line.starts(with: $0.utf8) }
    if isInBlock { frame += line }
    return isInBlock ? [] : frame + line
  }
}
