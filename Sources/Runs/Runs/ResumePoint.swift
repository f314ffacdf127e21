import Checkpoints
import Training

/// What a run resumes from, if there is anything, on the first rank.
final class ResumePoint {
  /// Mapped for as long as somebody has it.
  private var file: CheckpointFile?
  /// What was passed over to find it, by path.
  let passedOver: [(path: String, error: any Error)]

  /// Looks into the run's folder, which this process has to itself. Throws `RunError` for what `policy` rules out,
  /// `CheckpointError` for another run or where no checkpoint can be read, `HDF5Error` and `FileError`.
  init(_ store: CheckpointStore, _ configuration: RunConfiguration, _ policy: ResumePolicy) throws {
    if try policy == .never && !store.isEmpty() { throw RunError.folderIsNotEmpty(store.directory) }
    var passedOver: [(path: String, error: any Error)] = []
    file = try store.newest { passedOver.append(($0, $1)) }
    self.passedOver = passedOver
    guard let file else {
      if policy == .always { throw RunError.nothingToResume(store.directory) }
      return
    }
    for (key, value) in RunConfiguration.fixedSettings {
      let (before, now) = (value(file.card.configuration), value(configuration))
      if before != now {
        throw CheckpointError.otherRun(directory: store.directory, key: key, before: before, now: now)
      }
    }
  }

  /// The first thing that people are told, and what was passed over.
  func tell(_ reporter: any Reporter, name: String, directory: String) {
    if let file {
      let progress = file.card.progress
      reporter.report(.resumed(name: name, path: file.path, step: progress.step, epoch: progress.epoch))
    } else {
      reporter.report(.begins(name: name, directory: directory))
    }
    for passed in passedOver {
      reporter.report(.warning("passed over a checkpoint that cannot be read: \(passed.error)"))
    }
  }

  /// The checkpoint, to whoever resumes from it and lets it go; nil where the run begins.
  func take() -> CheckpointFile? {
    defer { file = nil }
    return file
  }
}
