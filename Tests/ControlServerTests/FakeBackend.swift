import ControlAPI
import ControlServer
import Foundation
import Synchronization

/// A daemon that does nothing but answer, and remembers what it was asked.
final class FakeBackend: ControlBackend {
  struct State {
    var status = FakeBackend.someStatus
    var jobs: [Job] = []
    var generation = GenerationRequest()
    /// Generations given up by the client.
    var givenUp = 0
    var followers: [AsyncStream<Event>.Continuation] = []
    var told: [String] = []
    /// Thrown by `checkpoint`.
    var fault: (any Error)?
  }
  let state = Mutex(State())
  /// Microseconds between the pieces of a generation.
  let pace: UInt32

  init(pace: UInt32 = 0) { self.pace = pace }

  static var someStatus: Status {
    var run = RunStatus(name: "shakespeare")
    run.step = 1200
    run.totalSteps = 5000
    run.epoch = 3
    run.epochs = 13
    run.tokens = 840_000
    run.training["loss"] = 4.6
    run.training["perplexity"] = 99.5
    run.learningRate = 1
    run.gradientNorm = 3.25
    run.tokensPerSecond = 41_000
    run.secondsLeft = 95
    run.validation["loss"] = 4.8
    run.validation["perplexity"] = 121.5
    run.best["loss"] = 4.8
    run.best["perplexity"] = 121.5
    run.bestStep = 1000
    run.copiedStep = 1200
    run.copyHost = "node2"
    run.parameters = 4_650_000
    let ranks = (0..<4).map {
      RankStatus(rank: $0, host: "node\"\($0)\\", stepSeconds: 0.011, waitSeconds: 0.0004)
    }
    return Status(mode: .serve, activity: .training, version: "0.1.0", run: run, ranks: ranks, uptime: 61.5)
  }

  /// While it is locked, `status` does not return.
  private let hold = NSLock()
  private let heldUp = Atomic(false)
  var isHeldUp: Bool { heldUp.load(ordering: .relaxed) }

  /// Keeps the server's thread in `status` until what is returned is called.
  func holdUp() -> () -> Void {
    hold.lock()
    return { self.hold.unlock() }
  }

  func status() -> Status {
    heldUp.store(true, ordering: .relaxed)
    hold.withLock {}
    return state.withLock { $0.status }
  }

  func curves(after step: Int, points: Int) throws -> CurveTables {
    var curves = CurveTables(run: "shakespeare")
    for step in stride(from: 10, through: 1200, by: 10).filter({ $0 > step }).prefix(points) {
      curves.training.step.append(step)
      curves.training.epoch.append(1)
      curves.training.metrics["loss", default: []].append(step == 10 ? nil : 5)
      curves.training.metrics["perplexity", default: []].append(step == 10 ? nil : 148.4)
      curves.training.learningRate.append(1)
      curves.training.gradientNorm.append(2)
      curves.training.tokensPerSecond.append(40_000)
    }
    return curves
  }

  func samples() -> SampleList {
    SampleList(samples: [SampleText(step: 1000, prompt: "the", temperature: 0.8, seed: .max, text: " king\n")])
  }

  func configuration() throws -> RunConfigurationText {
    RunConfigurationText(run: "shakespeare", yaml: "name: shakespeare\n")
  }

  func evaluate(_ request: EvaluationRequest) async throws -> EvaluationResult {
    EvaluationResult(
      step: 1200, part: request.part, metrics: .ofLanguageModels,
      values: ["tokens": 5000, "loss": 4.8, "perplexity": 121.5, "bitsPerToken": 6.92], seconds: 0.5,
      pausedSeconds: 0.5)
  }

  func generate(_ request: GenerationRequest) async throws -> AsyncThrowingStream<GenerationPiece, any Error> {
    state.withLock { $0.generation = request }
    if request.prompt == "impossible" { throw ErrorBody.badRequest("the prompt has words the model does not know") }
    let (pieces, continuation) = AsyncThrowingStream<GenerationPiece, any Error>.makeStream()
    let work = Work()
    continuation.onTermination = { ending in
      if case .cancelled = ending {
        work.isGivenUp.store(true, ordering: .relaxed)
        self.state.withLock { $0.givenUp += 1 }
      }
    }
    // Not a task: tests that wait may have all threads that tasks run on.
    DispatchQueue.global().async {
      for index in 0..<request.length where !work.isGivenUp.load(ordering: .relaxed) {
        if request.prompt == "breaks", index == 3 {
          return continuation.finish(throwing: ErrorBody.conflict("the run has ended"))
        }
        if self.pace > 0 { usleep(self.pace) }
        continuation.yield(.text("w\(index) "))
      }
      continuation.yield(
        .end(
          GenerationEnd(
            step: 1200, seed: request.seed ?? 1, tokens: request.length, seconds: 0.1, pausedSeconds: 0.1)))
      continuation.finish()
    }
    return pieces
  }

  func checkpoint() async throws -> CheckpointResult {
    if let fault = state.withLock({ $0.fault }) { throw fault }
    return CheckpointResult(step: 1200, path: "checkpoints/shakespeare/step-1200.h5")
  }

  private final class Work: Sendable {
    let isGivenUp = Atomic(false)
  }

  func pause() throws -> Accepted { tell("pause") }
  func resume() throws -> Accepted { tell("resume") }
  func stop() throws -> Accepted { tell("stop") }

  private func tell(_ what: String) -> Accepted {
    state.withLock { $0.told.append(what) }
    return Accepted(message: "\(what) at the next step")
  }

  func jobs() throws -> JobList { JobList(jobs: state.withLock { $0.jobs }) }

  func job(_ id: Int) throws -> Job { try change(id) { _ in } }

  func submit(_ submission: JobSubmission) async throws -> Job {
    state.withLock {
      let job = Job(id: $0.jobs.count + 1, name: "run", state: .waiting, submitted: 1_700_000_000)
      $0.jobs.append(job)
      return job
    }
  }

  func cancel(_ id: Int) throws -> Job { try change(id) { $0.state = .cancelled } }
  func pause(_ id: Int) throws -> Job { try change(id) { $0.state = .paused } }
  func resume(_ id: Int) throws -> Job { try change(id) { $0.state = .waiting } }
  func move(_ id: Int, _ move: JobMove) throws -> Job { try change(id) { _ in } }

  private func change(_ id: Int, _ body: (inout Job) -> Void) throws -> Job {
    try state.withLock {
      guard let index = $0.jobs.firstIndex(where: { $0.id == id }) else {
        throw ErrorBody.notFound("there is no job \(id)")
      }
      body(&$0.jobs[index])
      return $0.jobs[index]
    }
  }

  func events() -> AsyncStream<Event> {
    let (events, continuation) = AsyncStream<Event>.makeStream()
    state.withLock { $0.followers.append(continuation) }
    return events
  }

  func send(_ event: Event) { state.withLock { $0.followers }.forEach { $0.yield(event) } }
}
