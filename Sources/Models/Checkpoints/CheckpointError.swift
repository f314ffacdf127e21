import Files
import Training

/// A checkpoint that cannot be used.
public enum CheckpointError: PassingError, CustomStringConvertible, Equatable {
  /// There are checkpoints, and not one can be read.
  case noneValid(directory: String, damaged: Int)
  /// There is no checkpoint where one was asked for.
  case noneFound(directory: String)
  /// Another process trains this run.
  case inUse(directory: String)
  /// Its parts do not fit together.
  case malformed(path: String, problem: String)
  /// A checkpoint of another step than it is named after.
  case misnamed(path: String, step: Int)
  /// It has a checkpoint's name, and is a folder, a pipe or a device.
  case notAFile(path: String)
  /// A file of another kind than is wanted; `problem` says what to do.
  case otherKind(path: String, problem: String)
  /// A number of a model that half precision has no room for.
  case tooLargeForHalf(tensor: String, value: Float)
  /// A run goes on with other settings than it began with.
  case otherRun(directory: String, key: String, before: String, now: String)

  /// Ranks of an earlier start may take a while to end.
  public var mayPass: Bool { if case .inUse = self { true } else { false } }

  public var description: String {
    switch self {
    case .noneValid(let directory, let damaged):
      "\(directory): none of its \(counted(damaged, "checkpoint")) can be read; expected at least one to resume from; "
        + "restore one, or choose another name or output.directory to start from the beginning"
    case .noneFound(let directory):
      "\(directory): expected a checkpoint (step-….h5), found none; check the path"
    case .inUse(let directory):
      "\(directory) is in use by another process that trains this run; wait for it, end it, or give the run another name"
    case .malformed(let path, let problem):
      "\(path): \(problem); the file was written by another version or from another configuration"
    case .misnamed(let path, let step):
      "\(path): expected the checkpoint that its name says, found that of step \(step); give it its own name, or move it out "
        + "of the folder"
    case .notAFile(let path): "\(path): expected a file, found a folder, a pipe or a device; move it out of the folder"
    case .otherKind(let path, let problem): "\(path): \(problem)"
    case .tooLargeForHalf(let tensor, let value):
      "\(tensor) holds \(value); expected numbers of at most 65504, the largest in half precision; export in single"
    case .otherRun(let directory, let key, let before, let now):
      "\(directory) holds a run with \(key) \(before), and this one has \(now); give the run another name, "
        + "or the setting it began with"
    }
  }
}
