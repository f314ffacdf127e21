/// A request oneDNN or the system could not serve: what was asked, and why not.
public enum KernelError: Error, CustomStringConvertible, Equatable {
  /// oneDNN answered with a status other than success.
  case failed(operation: String, reason: String)
  /// Memory could not be had.
  case outOfMemory(bytes: Int)

  public var description: String {
    switch self {
    case .failed(let operation, let reason):
      "oneDNN could not \(operation): \(reason)"
    case .outOfMemory(let bytes):
      "cannot allocate \(bytes) bytes: make the model or the batch smaller, or run on a machine with more memory"
    }
  }
}
