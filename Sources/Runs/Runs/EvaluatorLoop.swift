import Checkpoints
import Corpus
import Foundation
import Glibc
import Networks
import Replication
import Tasks
import Training

/// The loop of an evaluator rank: it runs the tasks that arrive, and sleeps in between.
final class EvaluatorLoop {
  private let configuration: RunConfiguration
  private let group: any RankGroup
  private let link: any EvaluatorLink
  /// Where this rank keeps copies of checkpoints.
  private let receiver: FileReceiver?
  private let parameters: Parameters
  private let measures: Measures
  private let validation: (any Evaluating)?
  private let test: (any Evaluating)?
  private let writer: SampleWriter
  private let scheduler: GenerationScheduler
  private let cancellation: CancellationToken
  private let clock = ContinuousClock()

  init(
    _ configuration: RunConfiguration, group: any RankGroup, link: any EvaluatorLink, receiver: FileReceiver?,
    corpus: PreparedCorpus, task: any LearningTask, parameters: Parameters, validation: (any Evaluating)?,
    test: (any Evaluating)?,
    cancellation: CancellationToken
  ) {
    self.configuration = configuration
    self.group = group
    self.link = link
    self.receiver = receiver
    self.parameters = parameters
    self.validation = validation
    self.test = test
    self.cancellation = cancellation
    measures = task.measures
    let tokenizer = Tokenizer(vocabulary: corpus.vocabulary)
    writer = SampleWriter(configuration, task, tokenizer, parameters, group: group, cancellation: cancellation)
    scheduler = GenerationScheduler(task, tokenizer, parameters, group: group)
  }

  /// Until the run ends; throws what the run has failed with.
  func run() throws -> RunOutcome {
    while true {
      try receiver?.move()
      guard try scheduler.isEmpty || isTaskComing() else {
        try tell(write([], abandoned: []))
        continue
      }
      group.does("waiting for a task", step: 0, isResting: true)
      if let receiver {
        while try !link.isTaskComing() {
          try receiver.move()
          usleep(5000)
        }
      }
      let task = try JSONDecoder().decode(
        EvaluatorTask.self, from: Data(link.take(parameters.buffer.values)))
      group.does(RunActivity.evaluating.rawValue, step: 0, isResting: false)
      switch task {
      case .evaluate(let task): try answer { try .result(evaluate(task)) }
      case .sample(let step): try answer { .result(.samples(try writer.write(step: step))) }
      case .write(let orders, let abandoned): try tell(write(orders, abandoned: abandoned))
      case .end(let outcome):
        try tell(.ended)
        return outcome
      case .fail(let message):
        try tell(.ended)
        throw RunError.failed(message)
      }
    }
  }

  /// What the first of these ranks sees, on all of them.
  private func isTaskComing() throws -> Bool {
    try group.broadcast([group.isFirst && link.isTaskComing() ? 1 : 0]) == [1]
  }

  /// An error that all these ranks have alike is the first rank's to share, and ends the run; any other ends them all.
  private func answer(_ body: () throws -> EvaluatorMessage) throws {
    do {
      try tell(body())
    } catch let stop as StopRequest {
      try tell(.stopped(reason: stop.reason))
    } catch let error where group.count == 1 || error is TrainingError || error is RankFailure {
      try tell(.failed("\(error)"))
    }
  }

  private func tell(_ message: EvaluatorMessage) throws {
    if case .pieces(let pieces) = message, pieces.isEmpty { return }
    if group.isFirst { try link.tell(Array(JSONEncoder().encode(message))) }
  }

  private func evaluate(_ task: EvaluationTask) throws -> EvaluatorResult {
    let begin = clock.now
    let goOn = cancellation.patiently()
    let evaluator = task.part == .validation ? validation : test
    guard let tallies = try evaluator?.tallies(progress: { _, _ in try goOn() }, waiting: cancellation.look) else {
      preconditionFailure("nobody asks for a part that the corpus does not have")
    }
    // Who asked is told what it is.
    if task.request == nil { try measures.requireFinite(tallies, step: task.step) }
    return .evaluation(task, tallies, seconds: (clock.now - begin) / .seconds(1))
  }

  private func write(_ orders: [GenerationOrder], abandoned: [Int]) throws -> EvaluatorMessage {
    .pieces(try scheduler.write(orders, abandoned: abandoned, seconds: RunLoop.sliceSeconds))
  }
}
