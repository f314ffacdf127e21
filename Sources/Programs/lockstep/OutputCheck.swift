import Files
import Glibc
import Inference

/// Refuses to write where something would be destroyed that is not to be. To be asked before anything is opened for
/// writing.
enum OutputCheck {
  /// For a file that is made of `inputs` and replaced if it is there. Throws `OutputError` if it is one of them, or in the
  /// place of something that a run keeps.
  static func file(_ path: String, madeOf inputs: [String]) throws {
    let name = FileSystem.name(of: path)
    let folder = FileSystem.parent(of: path)
    if let identity = FileIdentity(of: path) {
      try refuse(path, identity, inputs)
      switch try? FileKind(of: path) {
      case .checkpoint: throw OutputError(path, "it is a checkpoint, with the state that a run resumes from")
      case .curves: throw OutputError(path, "it has the curves of a run")
      default: break
      }
    }
    let isRun = ["lock", "curves.h5"].contains { FileSystem.exists("\(folder)/\($0)") }
    if isRun, name == "curves.h5" || name.hasPrefix("step-") && name.hasSuffix(".h5") {
      throw OutputError(path, "a run, whose folder this is, would take a file of this name for its own")
    }
  }

  /// For a folder that is replaced as a whole.
  static func folder(_ path: String, madeOf inputs: [String]) throws {
    guard let folder = FileIdentity(of: path) else { return }
    try refuse(path, folder, inputs)
    for input in inputs where folder.contains(input) {
      throw OutputError(path, "\(input), an input, is inside it and would be removed")
    }
  }

  /// For standard output, while `inputs` are read; "-" is standard input.
  static func standardOutput(madeOf inputs: [String]) throws {
    guard let output = FileIdentity(descriptor: STDOUT_FILENO) else { return }
    try refuse("standard output", output, inputs)
  }

  private static func refuse(_ path: String, _ output: FileIdentity, _ inputs: [String]) throws {
    for input in inputs {
      let (name, identity) =
        input == "-"
        ? ("standard input", FileIdentity(descriptor: STDIN_FILENO)) : (input, FileIdentity(of: input))
      if identity == output { throw OutputError(path, "it is what is read\(name == path ? "" : ", \(name)")") }
    }
  }
}

/// An output that would destroy something.
struct OutputError: Error, CustomStringConvertible, Equatable {
  let path: String
  let problem: String

  init(_ path: String, _ problem: String) {
    self.path = path
    self.problem = problem
  }

  var description: String { "cannot write to \(path): \(problem); name another output" }
}
