import ControlAPI
import ControlServer
import Files
import Foundation
import Networks
import Runs

/// The side of the server: called on any thread, any number of times at once.
extension ControlState: ControlBackend {
  // MARK: - What is known

  public func status() -> Status {
    withState { state in
      state.status.uptime = uptime
      return state.status
    }
  }

  public func curves(after step: Int, points: Int) throws -> CurveTables {
    let (known, run) = withState { ($0.curves, $0.status.run?.name ?? "") }
    guard let known else { throw Self.noRunYet }
    return CurveTables(run: run, known).thinned(after: step, points: points)
  }

  public func samples() -> SampleList { SampleList(samples: withState { $0.samples }) }

  public func configuration() throws -> RunConfigurationText {
    guard let configuration = withState({ $0.configuration }) else { throw Self.noRunYet }
    return configuration
  }

  public func events() -> AsyncStream<Event> {
    AsyncStream { follower in
      let id = withState { state in
        state.lastFollower += 1
        state.followers[state.lastFollower] = follower
        return state.lastFollower
      }
      follower.onTermination = { [weak self] _ in self?.withState { $0.followers[id] = nil } }
    }
  }

  // MARK: - Asked of the loop

  public func evaluate(_ request: EvaluationRequest) async throws -> EvaluationResult {
    try await answered {
      .evaluation($0, request.part)
    } to: {
      .evaluate(id: $0, part: request.part == .validation ? .validation : .test)
    }
  }

  public func checkpoint() async throws -> CheckpointResult {
    try await answered {
      .checkpoint($0)
    } to: {
      .checkpoint(id: $0)
    }
  }

  /// Waits for the answer to a request; one whose task is cancelled is given up.
  private func answered<Answer: Sendable>(
    _ asker: (CheckedContinuation<Answer, any Error>) -> Asker, to request: (Int) -> RunRequest
  ) async throws -> Answer {
    let id = nextID()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { ask(asker($0), id, request(id)) }
    } onCancel: {
      withState { $0.askers.removeValue(forKey: id) }?.fail(.conflict("the client no longer waits for the answer"))
    }
  }

  private func nextID() -> Int {
    withState { state in
      state.lastRequest += 1
      return state.lastRequest
    }
  }

  public func generate(_ request: GenerationRequest) async throws -> AsyncThrowingStream<GenerationPiece, any Error> {
    let seed = request.seed ?? .random(in: 0...(1 << 53))
    return AsyncThrowingStream { asker in
      let id = nextID()
      let order = GenerationOrder(
        id: id, prompt: request.prompt, begin: request.begin, length: request.length, stop: request.stop,
        settings: SamplingSettings(
          temperature: request.temperature, topK: request.topK, topP: request.topP, minP: request.minP, seed: seed))
      ask(.text(asker, seed: seed), id, .generate(order))
      asker.onTermination = { [weak self] _ in
        self?.withState { state in
          if state.askers.removeValue(forKey: id) != nil { state.pendingCommands.abandoned.append(id) }
        }
      }
    }
  }

  /// Puts a request before the loop, or refuses it where there is no run, or nobody waits any more.
  private func ask(_ asker: Asker, _ id: Int, _ request: RunRequest) {
    let isAsked = withState { state in
      guard state.hasRun, !Task.isCancelled else { return false }
      state.askers[id] = asker
      state.pendingCommands.requests.append(request)
      return true
    }
    if !isAsked { asker.fail(Self.noRun) }
  }

  // MARK: - Told to the loop

  public func pause() throws -> Accepted {
    try command("the run pauses after the step under way") { $0.pendingCommands.isPaused = true }
  }

  public func resume() throws -> Accepted {
    try command("the run resumes") { $0.pendingCommands.isPaused = false }
  }

  public func stop() throws -> Accepted {
    // In a queue a run that is stopped would be begun again at once.
    if let job = withState({ $0.job }) {
      _ = try pause(job)
      return Accepted(message: "the run saves a checkpoint and stops after the step under way; its job is paused")
    }
    return try command("the run saves a checkpoint and stops after the step under way") {
      $0.pendingCommands.stopReason = "asked to"
    }
  }

  private func command(_ message: String, _ change: (inout State) -> Void) throws -> Accepted {
    try withState { state in
      guard state.hasRun else { throw Self.noRun }
      change(&state)
    }
    return Accepted(message: message)
  }

  private static let noRun = ErrorBody.conflict(
    "no run is under way; expected one: wait until it has begun, or submit one to the queue")
  private static let noRunYet = ErrorBody.conflict("there has been no run yet; expected one: submit one to the queue")

  // MARK: - The queue

  public func jobs() throws -> JobList { try theQueue().list() }

  public func job(_ id: Int) throws -> Job { try theQueue().job(id) }

  public func submit(_ submission: JobSubmission) async throws -> Job {
    let job = try saving { try theQueue().submit(submission) }
    withState { _ in }  // the loop may be waiting for one
    return job
  }

  public func cancel(_ id: Int) throws -> Job {
    let job = try saving { try theQueue().cancel(id) }
    stopJob(id, because: "cancelled")
    return job
  }

  public func pause(_ id: Int) throws -> Job {
    let job = try saving { try theQueue().pause(id) }
    stopJob(id, because: "paused")
    return job
  }

  public func resume(_ id: Int) throws -> Job {
    let job = try saving { try theQueue().resume(id) }
    withState { if $0.job == id { $0.pendingCommands.stopReason = nil } }
    return job
  }

  public func move(_ id: Int, _ move: JobMove) throws -> Job {
    try saving { try theQueue().move(id, to: move.position) }
  }

  private func theQueue() throws -> JobQueue {
    guard let queue else {
      throw ErrorBody.conflict("this daemon trains a single run and has no queue; expected one of `lockstepd serve`")
    }
    return queue
  }

  private func stopJob(_ id: Int, because reason: String) {
    withState { if $0.job == id { $0.pendingCommands.stopReason = reason } }
  }

  /// A full disk is not a bug: the client gets the error.
  private func saving(_ change: () throws -> Job) throws -> Job {
    do {
      return try change()
    } catch let error as FileError {
      throw ErrorBody.busy("the queue cannot be written: \(error)")
    }
  }
}

extension CurveTables {
  /// The rows after a step, at most `points` of each table: evenly thinned, first and last kept.
  func thinned(after step: Int, points: Int) -> CurveTables {
    var part = CurveTables(run: run)
    let rows = Self.places(of: training.step, after: step, points: points)
    part.training.step = rows.map { training.step[$0] }
    part.training.epoch = rows.map { training.epoch[$0] }
    part.training.metrics = training.metrics.mapValues { column in rows.map { column[$0] } }
    part.training.learningRate = rows.map { training.learningRate[$0] }
    part.training.gradientNorm = rows.map { training.gradientNorm[$0] }
    part.training.tokensPerSecond = rows.map { training.tokensPerSecond[$0] }
    let evaluations = Self.places(of: validation.step, after: step, points: points)
    part.validation.step = evaluations.map { validation.step[$0] }
    part.validation.epoch = evaluations.map { validation.epoch[$0] }
    part.validation.metrics = validation.metrics.mapValues { column in evaluations.map { column[$0] } }
    return part
  }

  private static func places(of steps: [Int], after step: Int, points: Int) -> [Int] {
    // Steps ascend: the first behind it.
    var (low, high) = (0, steps.count)
    while low < high {
      let middle = (low + high) / 2
      if steps[middle] > step { high = middle } else { low = middle + 1 }
    }
    let count = steps.count - low
    guard count > points, points > 1 else { return Array(low..<steps.count).suffix(max(points, 1) < count ? 1 : count) }
    return (0..<points).map { low + $0 * (count - 1) / (points - 1) }
  }
}
