import Checkpoints
import ControlAPI
import ControlServer
import Foundation
import Hosts
import Networks
import Runs
import TaskMetrics
import Synchronization
import Training

/// State between the training loop (one thread) and the server (all other threads): the run, the clients that wait for answers, the followers of events.
/// for which answer, and who follows events. On the first rank.
///
/// The loop tells it what happens as a `Reporter` and asks it for pendingCommands as a `RunControl`; the server asks it as a
/// `ControlBackend`. Everything is behind one lock, held for moments.
public final class ControlState: @unchecked Sendable {
  /// Who waits for the answer to a request.
  enum Asker {
    case evaluation(CheckedContinuation<EvaluationResult, any Error>, EvaluationRequest.Part)
    case checkpoint(CheckedContinuation<CheckpointResult, any Error>)
    case text(AsyncThrowingStream<GenerationPiece, any Error>.Continuation, seed: UInt64)
  }

  struct State {
    var status: Status
    var configuration: RunConfigurationText?
    var curves: Curves?
    /// What is told of an evaluation that somebody asks for.
    var told: [Metric] = []
    var samples: [SampleText] = []
    /// Whether there is a run that pendingCommands reach.
    var hasRun = false
    var pendingCommands = PendingCommands()
    var askers: [Int: Asker] = [:]
    var lastRequest = 0
    /// Of the queue, the job that runs, and the step that its run had come to when it was begun.
    var job: Int?
    var firstStep = 0
    /// The last step whose row was told to followers.
    var toldStep = 0
    var lastStatus: ContinuousClock.Instant?
    var followers: [Int: AsyncStream<Event>.Continuation] = [:]
    var lastFollower = 0
  }

  /// The jobs of a daemon that serves.
  let queue: JobQueue?
  private let begun = ContinuousClock.now
  private let condition = NSCondition()
  private var state: State
  /// Samples that are remembered for those who ask.
  static let mostSamples = 200
  /// Where the server of a single run listens; set before the run begins.
  public var runBeginning: ((_ directory: String) throws -> Void)?

  /// With a queue for `serve`, without for a single run.
  public init(mode: Status.Mode, queue: JobQueue? = nil) {
    self.queue = queue
    state = State(status: Status(mode: mode, activity: .idle, version: programVersion))
  }

  /// That of a queue, which it follows. Throws what opening the queue throws.
  static func serving(_ directory: String, data: [String]) throws -> (state: ControlState, queue: JobQueue) {
    let changes = Changes()
    let queue = try JobQueue(
      directory: directory, data: data, onChange: { job in changes.state.withLock { $0 }?.emit(.job(job)) })
    let state = ControlState(mode: .serve, queue: queue)
    changes.state.withLock { $0 = state }
    return (state, queue)
  }

  /// The queue is made first, and reports its changes to a state that is made after it.
  private final class Changes: Sendable {
    let state = Mutex<ControlState?>(nil)
  }

  /// The one way to the state. Wakes the loop where it waits.
  @discardableResult
  func withState<Value>(_ body: (inout State) throws -> Value) rethrows -> Value {
    try condition.withLock {
      defer { condition.broadcast() }
      return try body(&state)
    }
  }

  var uptime: Double { (ContinuousClock.now - begun) / .seconds(1) }

  // MARK: - Events

  func emit(_ event: Event) { withState { $0.emit(event) } }

  func log(_ level: LogLine.Level, _ message: String) {
    emit(.log(LogLine(time: Date().timeIntervalSince1970, level: level, message: message)))
  }

  /// How far the job has come that runs.
  func tellQueue() {
    let told = withState { state in
      // Before its beginning there is still the run before.
      state.hasRun ? state.job.flatMap { job in state.status.run.map { (job, $0) } } : nil
    }
    guard let (job, run) = told else { return }
    queue?.updateProgress(
      job, step: run.step, totalSteps: run.totalSteps,
      validation: run.validation.filter { run.metrics[$0.key]?.isHeadline ?? false })
  }

  /// A checkpoint is safe on disk.
  func tellQueue(saved step: Int) {
    guard let job = withState({ state in step > state.firstStep ? state.job : nil }) else { return }
    do {
      try queue?.savedProgress(job)
    } catch {
      log(.warning, "the queue does not know of the checkpoint of step \(step) yet: \(error)")
    }
  }

  // MARK: - The loop's side, beside runs

  /// Waits, asleep, until the state may have changed, a tenth of a second at most.
  func waitForChange() {
    condition.withLock { _ = condition.wait(until: Date(timeIntervalSinceNow: 0.1)) }
  }

  /// From now on what is asked of this job is asked of the run under way.
  func jobBegins(_ id: Int) {
    withState { state in
      state.pendingCommands = PendingCommands()
      state.job = id
    }
  }

  /// The run is over, in whatever way: those who wait for answers are told, and the queue how far it came.
  func runEnded(_ message: String) {
    tellQueue()
    let askers = withState { state in
      defer {
        state.askers = [:]
        state.pendingCommands = PendingCommands()
        state.hasRun = false
        state.job = nil
        state.status.activity = state.status.mode == .serve ? .idle : .finished
        state.tellStatus(uptime, always: true)
      }
      return state.askers.values
    }
    let error = ErrorBody.conflict(message)
    for asker in askers { asker.fail(error) }
  }
}

extension ControlState.Asker {
  func fail(_ error: ErrorBody) {
    switch self {
    case .evaluation(let asker, _): asker.resume(throwing: error)
    case .checkpoint(let asker): asker.resume(throwing: error)
    case .text(let asker, _): asker.finish(throwing: error)
    }
  }
}

extension ControlState.State {
  mutating func emit(_ event: Event) { for follower in followers.values { follower.yield(event) } }

  /// About once a second, with the rows that the curves have got since.
  mutating func tellStatus(_ uptime: Double, always: Bool = false) {
    let now = ContinuousClock.now
    if !always, let lastStatus, now - lastStatus < .seconds(1) { return }
    lastStatus = now
    status.uptime = uptime
    emit(.status(status))
    guard let curves, let last = curves.training.last, last.step > toldStep else { return }
    var new = Curves(like: curves)
    new.training = Array(curves.training.drop { $0.step <= toldStep })
    emit(.curves(CurveTables(run: status.run?.name ?? "", new)))
    toldStep = last.step
  }
}

extension CurveTables {
  init(run: String, _ curves: Curves) {
    self.init(run: run)
    training.step = curves.training.map(\.step)
    training.epoch = curves.training.map(\.epoch)
    for metric in curves.trainingMetrics {
      training.metrics[metric.name] = curves.training.map { $0[metric.name].finite }
    }
    training.learningRate = curves.training.map(\.learningRate.finite)
    training.gradientNorm = curves.training.map(\.gradientNorm.finite)
    training.tokensPerSecond = curves.training.map(\.tokensPerSecond.finite)
    validation.step = curves.validation.map(\.step)
    validation.epoch = curves.validation.map(\.epoch)
    for metric in curves.validationMetrics {
      validation.metrics[metric.name] = curves.validation.map { $0[metric.name].finite }
    }
  }
}

extension Double {
  /// JSON has no other numbers.
  var finite: Double? { isFinite ? self : nil }
}

extension [String: Double] {
  /// Likewise: what is not finite is left out.
  var finite: [String: Double] { filter(\.value.isFinite) }
}
