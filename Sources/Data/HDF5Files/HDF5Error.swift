/// A file that cannot be read or built as asked. System calls that fail throw `FileError` instead.
public struct HDF5Error: Error, CustomStringConvertible, Equatable {
  /// What a caller may want to tell apart: to fall back to an older file, or to stop.
  public enum Reason: Sendable {
    /// Not one of this program's files at all.
    case foreign
    /// Written by a newer program.
    case newer
    /// Cut short or changed after it was written.
    case damaged
    /// Whole, but of another kind than asked for.
    case otherKind
    /// Nothing of that name is in the file.
    case missing
    /// There, but of another type or shape than asked for.
    case mismatch
    /// The HDF5 library refused.
    case library
  }

  public let reason: Reason
  /// The file's path; for a file still being built, its kind in words.
  public let file: String
  /// The path inside the file, from its root; nil if the error is about the whole file.
  public let location: String?
  /// What was expected, what was found and the remedy.
  public let problem: String

  public var description: String {
    guard let location else { return "\(file): \(problem)" }
    return "\(file), at \(location): \(problem)"
  }
}
