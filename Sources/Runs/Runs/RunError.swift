import Files

/// A run that cannot begin or go on.
public enum RunError: Error, CustomStringConvertible, Equatable {
  /// Resuming was ruled out, and the folder is not empty.
  case folderIsNotEmpty(String)
  /// Beginning was ruled out, and there is nothing to resume.
  case nothingToResume(String)
  /// So few ranks that none would train.
  case tooFewRanks(count: Int, evaluators: Int)
  /// Machines that do not share a folder hold different runs of one name, and the first rank's is the older.
  case otherRun(directory: String, host: String, other: String, step: Int)
  /// What it failed with elsewhere, in its own words.
  case failed(String)

  public var description: String {
    switch self {
    case .folderIsNotEmpty(let directory):
      "\(directory) is not empty, and --resume never asks for a fresh start; expected an empty folder: give "
        + "the run another name, remove the folder, or resume"
    case .nothingToResume(let directory):
      "\(directory) has no checkpoint, and --resume always asks to resume one; expected a run that was begun there: check "
        + "its name, output.directory and the folder this is started in, \(FileSystem.workingDirectory), or leave "
        + "--resume out to begin"
    case .tooFewRanks(let count, let evaluators):
      "coordinator.evaluators sets \(counted(evaluators, "rank")) aside of \(count); expected one more at least, to train: "
        + "start more ranks or lower it"
    case .otherRun(let directory, let host, let other, let step):
      "\(directory) holds one run on \(host), and on \(other) step \(step) of another of the same name, begun later; "
        + "expected one run: remove the folder on the host whose run is not wanted, or give this one another name"
    case .failed(let message): message
    }
  }
}
