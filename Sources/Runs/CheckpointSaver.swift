import Checkpoints
import Foundation
import Synchronization
import Training

/// Saves a run's checkpoints and curves while training goes on, on the first rank.
///
/// `save` copies what goes on changing and returns; a thread of its own builds the file, writes, syncs and renames it,
/// and then removes old ones. A save that comes while the one before is still being written waits for it, and is
/// counted. One that fails leaves the older checkpoints as they were.
final class CheckpointSaver {
  /// How a save went.
  struct Outcome: Sendable {
    let step: Int
    let path: String
    /// Seconds for which training stood still: the wait for the save before, and the copy.
    let stalledSeconds: Double
    /// Seconds from then until the file was safe.
    let seconds: Double
    let hadToWait: Bool
    /// Why the checkpoint could not be saved.
    var error: (any Error)?
    /// What went wrong when it was safe: with the curves' own file or with old checkpoints.
    var problem: String?
  }

  private let store: CheckpointStore
  private let output: OutputConfiguration
  private let thread = StorageThread()
  private let finished = Finished()
  private var snapshot: Checkpoint.Snapshot?

  /// Shared with the thread.
  private final class Finished: Sendable {
    let outcomes = Mutex<[Outcome]>([])
  }

  init(_ store: CheckpointStore, _ output: OutputConfiguration) {
    self.store = store
    self.output = output
  }

  deinit { thread.end() }

  /// Throws `KernelError.outOfMemory` if there is no room for the copy; what fails later is in the outcome.
  func save(_ checkpoint: Checkpoint) throws {
    let clock = ContinuousClock()
    let begin = clock.now
    let hasToWait = thread.isBusy
    thread.finish()
    let copy = try checkpoint.copy(into: &snapshot)
    let copied = clock.now
    thread.start { [store, output, finished] in
      var error: (any Error)?
      var problem: String?
      do {
        _ = try store.save(copy)
        problem = Self.tidy(store, output, copy)
      } catch let failure {
        error = failure
      }
      let outcome = Outcome(
        step: copy.progress.step, path: store.path(step: copy.progress.step),
        stalledSeconds: (copied - begin) / .seconds(1), seconds: (clock.now - copied) / .seconds(1),
        hadToWait: hasToWait, error: error, problem: problem)
      finished.outcomes.withLock { $0.append(outcome) }
    }
  }

  /// Saves the curves beside a checkpoint that is safe, and removes old ones; says what went wrong.
  private static func tidy(_ store: CheckpointStore, _ output: OutputConfiguration, _ saved: Checkpoint) -> String? {
    do {
      try saved.curves.save(to: "\(store.directory)/curves.h5")
      let budget = output.diskBudget > 0 ? Int(output.diskBudget * 1e9) : nil
      let left = try store.prune(
        keep: output.keep, newest: saved.progress.step,
        best: saved.progress.bestLoss == nil ? nil : saved.progress.bestStep, budget: budget)
      guard let budget, left > budget else { return nil }
      return
        "the newest and the best checkpoint take \(left) bytes; expected at most \(budget) (output.diskBudget); they stay"
    } catch {
      return "\(error)"
    }
  }

  /// Outcomes since they were last asked for.
  func outcomes() -> [Outcome] {
    finished.outcomes.withLock { outcomes in
      defer { outcomes = [] }
      return outcomes
    }
  }

  /// Waits until nothing is being saved.
  func finish() { thread.finish() }
}
