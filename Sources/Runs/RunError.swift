/// A run that cannot begin.
public enum RunError: Error, CustomStringConvertible, Equatable {
  /// Resuming was ruled out, and there is something to resume.
  case folderIsNotEmpty(String)

  public var description: String {
    switch self {
    case .folderIsNotEmpty(let directory):
      "\(directory) has checkpoints, and --resume never asks for a fresh start; expected an empty folder: give "
        + "the run another name, remove the folder, or resume"
    }
  }
}
