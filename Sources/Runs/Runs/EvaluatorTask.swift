import Checkpoints
import Networks
import Training

/// An evaluation that somebody or the schedule wants of the parameters as they were at a step.
struct EvaluationTask: Codable, Equatable {
  let part: RunRequest.Part
  let step: Int
  /// Epochs completed.
  let epoch: Int
  /// Whether it counts for patience and plateau.
  var isEndOfEpoch = false
  /// The request it answers; nil for one on schedule.
  var request: Int?
}

/// What the ranks set aside are to do with the parameters that come along.
enum EvaluatorTask: Codable {
  case evaluate(EvaluationTask)
  /// The run's own samples.
  case sample(step: Int)
  /// Texts that somebody has asked for, and those that nobody waits for any more.
  case write([GenerationOrder], abandoned: [Int])
  /// The run has ended so.
  case end(RunOutcome)
  /// It has failed for this reason.
  case fail(String)
}

/// What they have found, for all ranks that train.
enum EvaluatorResult: Codable, Equatable {
  /// Tallies, and how long it took.
  case evaluation(EvaluationTask, [Double], seconds: Double)
  case samples([Sample])
}

/// What they tell the first rank.
enum EvaluatorMessage: Codable {
  case result(EvaluatorResult)
  case pieces([GenerationScheduler.Piece])
  case failed(String)
  /// A task was given up, since the run is to stop.
  case stopped(reason: String)
  /// The last of all.
  case ended
}
