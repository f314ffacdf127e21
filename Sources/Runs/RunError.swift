/// A run that cannot begin.
public enum RunError: Error, CustomStringConvertible, Equatable {
  /// Resuming was ruled out, and the folder is not empty.
  case folderIsNotEmpty(String)

  public var description: String {
    switch self {
    case .folderIsNotEmpty(let directory):
      "\(directory) is not empty, and --resume never asks for a fresh start; expected an empty folder: give "
        + "the run another name, remove the folder, or resume"
    }
  }
}
