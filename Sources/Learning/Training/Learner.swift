import Kernels
import Networks

/// What learns on one rank: a network's trainer, or a task's own. All ranks make the same calls in the same order and stand
/// alike after each.
public protocol Learner: AnyObject {
  var progress: TrainingProgress { get }
  var parameters: Parameters { get }
  /// What an optimizer remembers of each parameter, by name.
  var optimizerSlots: [(name: String, buffer: FloatBuffer)] { get }
  var stepsPerEpoch: Int { get }
  /// Steps of the whole run, if nothing ends it early.
  var totalSteps: Int { get }
  /// Targets of an epoch's first step. Means over steps that have more or fewer are weighted by it.
  var targetsPerStep: Int { get }
  /// Targets of an epoch that no step learns from.
  var unusedTargets: Int { get }
  /// Whether the epoch under way has no step left.
  var epochIsComplete: Bool { get }

  /// Checks what this rank will read. What `meanwhile` throws, which is called every few megabytes, ends it.
  func verify(meanwhile: () throws -> Void) throws
  /// Starts afresh from the seed. The first rank may put other numbers over those in `change`; `origin` is that of the
  /// progress.
  func begin(origin: String, _ change: (Parameters) throws -> Void) throws
  /// Resumes where a run stood. Rank 0 has filled in parameters and slots; `rowStates` are those of all rows of the global
  /// batch, in order, on every rank.
  func restore(_ progress: TrainingProgress, rowStates: [Float]) throws
  /// Of all rows of the global batch, in order, on every rank.
  func gatherRowStates() throws -> [Float]
  /// One step. `notes` are a few numbers of each rank, as many on all; their sums come back in the report.
  func step(notes: [Double]) throws -> StepReport
  /// Closes a complete epoch.
  func finishEpoch()
  /// Takes note of the deciding metric's value, of the model as it was after so many steps and complete epochs. One at the
  /// end of an epoch counts for patience and plateau.
  func observe(_ value: Double, step: Int, epoch: Int, isEndOfEpoch: Bool)
  /// Takes note of an evaluation that is under way elsewhere; nil when its value is known.
  func awaits(_ evaluation: TrainingProgress.PendingEvaluation?)
  /// Throws `TrainingError.diverged`, on every rank, if a parameter is not a number: what the last update did is seen by no
  /// loss yet, and must not be saved.
  func checkParameters() throws
}
