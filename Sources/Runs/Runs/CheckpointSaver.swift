import Checkpoints
import Files
import Foundation
import Synchronization
import Training

/// Saves a run's checkpoints and curves while training goes on, on the first rank.
///
/// `save` copies the numbers that training changes and returns; a thread of its own builds the file, writes, syncs and renames it,
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
    /// The best step whose checkpoint is safe: it stays until a better one is.
    let safeBest = Mutex<Int?>(nil)
  }

  /// Paths of checkpoints at which there is something else: see `ResumePoint`. It is not written over.
  var passedOver: Set<String> = []

  init(_ store: CheckpointStore, _ output: OutputConfiguration) {
    self.store = store
    self.output = output
  }

  deinit { thread.end() }

  /// Throws `KernelError.outOfMemory` if there is no room for the copy; what fails later is in the outcome.
  /// `underEvaluation` is a step whose checkpoint may turn out the best.
  func save(_ checkpoint: Checkpoint, underEvaluation: Int?) throws {
    let clock = ContinuousClock()
    let begin = clock.now
    let hasToWait = thread.isBusy
    thread.finish()
    let copy = try checkpoint.copy(into: &snapshot)
    let copied = clock.now
    let isTaken = passedOver.remove(store.path(step: copy.card.progress.step)) != nil
    thread.start { [store, output, finished, passedOver] in
      var error: (any Error)?
      var problem: String?
      do {
        let aside = isTaken ? try store.setAside(step: copy.card.progress.step) : nil
        let path = try store.save(copy)
        let problems = [
          aside.map { "what was passed over in \(path) is now \($0)" },
          Self.tidy(store, output, copy, keeping: underEvaluation, passedOver, finished),
        ]
        problem = problems.contains { $0 != nil } ? problems.compactMap { $0 }.joined(separator: "; ") : nil
      } catch let failure {
        error = failure
      }
      let outcome = Outcome(
        step: copy.card.progress.step, path: store.path(step: copy.card.progress.step),
        stalledSeconds: (copied - begin) / .seconds(1), seconds: (clock.now - copied) / .seconds(1),
        hadToWait: hasToWait, error: error, problem: problem)
      finished.outcomes.withLock { $0.append(outcome) }
    }
  }

  /// Removes old checkpoints, now that one is safe, and saves the curves beside it; says what went wrong.
  private static func tidy(
    _ store: CheckpointStore, _ output: OutputConfiguration, _ saved: Checkpoint, keeping underEvaluation: Int?,
    _ passedOver: Set<String>, _ finished: Finished
  ) -> String? {
    var problems: [String] = []
    func attempt(_ body: () throws -> Void) {
      do { try body() } catch { problems.append("\(error)") }
    }
    attempt {
      let progress = saved.card.progress
      let best = finished.safeBest.withLock { safe in
        if progress.best == nil { safe = nil }
        if progress.best != nil, FileSystem.exists(store.path(step: progress.bestStep)) { safe = progress.bestStep }
        return safe
      }
      let budget = output.diskBudget > 0 ? Int(output.diskBudget * 1e9) : nil
      let left = try store.prune(
        keep: output.keep, newest: progress.step, keeping: Set([best, underEvaluation].compactMap { $0 }),
        passedOver: passedOver, budget: budget)
      if let budget, left > budget {
        problems.append(
          "the checkpoints that have to stay take \(left) bytes; expected at most \(budget) (output.diskBudget)")
      }
    }
    attempt { try saved.curves.save(to: "\(store.directory)/curves.h5") }
    return problems.isEmpty ? nil : problems.joined(separator: "; ")
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
