import ControlAPI
import ControlClient
import Runs
import Terminal

/// Follows a job, or a run by itself, through everything that happens to it and to the connection.
final class JobWatcher: Sendable {
  enum Outcome: Sendable {
    case finished, failed, cancelled
    /// A run by itself, with a checkpoint to go on from.
    case stopped
    /// Nobody reads what is written.
    case outputClosed
  }

  private enum Input: Sendable {
    /// The job that was found to follow.
    case job(Int)
    case event(StreamedEvent)
    /// All of a run's curves so far.
    case curves(CurveTables)
    case lost(ControlError)
    /// A second has passed, or the terminal has another size.
    case redraw
  }

  private let daemon: ControlAddress
  private let id: Int?
  private let patience: Duration
  private let inputs: AsyncThrowingStream<Input, any Error>
  private let input: AsyncThrowingStream<Input, any Error>.Continuation

  /// A daemon sends something every 15 seconds: one that does not is lost.
  private static let silence = Duration.seconds(45)
  private static let interval = Duration.seconds(1)

  /// `patience` is the time that a daemon may be away.
  init(daemon: ControlAddress, id: Int?, patience: Duration) {
    self.daemon = daemon
    self.id = id
    self.patience = patience
    (inputs, input) = AsyncThrowingStream.makeStream()
  }

  func redraw() { input.yield(.redraw) }

  /// Follows until the job is over. Throws `ControlError` if there is no such job, or no daemon for too long.
  func run(_ display: any WatchDisplay) async throws -> Outcome {
    try await withThrowingTaskGroup { group in
      group.addTask { await self.connect() }
      group.addTask { while (try? await Task.sleep(for: Self.interval)) != nil { self.redraw() } }
      defer { group.cancelAll() }
      return try await show(on: display)
    }
  }

  // MARK: - What comes from the daemon

  /// Connects, and does so again when the connection is lost.
  private func connect() async {
    var id = id
    while !Task.isCancelled {
      do {
        // Each time anew: a daemon that was started again may have another socket and another token.
        try await ControlClient.with(daemon, silence: Self.silence) { try await follow($0, &id) }
        input.yield(.lost(.streamEnded))
      } catch let error as ControlError where error.isPassing {
        input.yield(.lost(error))
      } catch {
        return input.finish(throwing: error)
      }
      try? await Task.sleep(for: Self.interval)
    }
  }

  private func follow(_ client: ControlClient, _ id: inout Int?) async throws {
    id = try await find(id, client)
    if let id { input.yield(.job(id)) }
    let job = id
    var run: String?
    try await client.follow { event in
      if case .status(let status)? = event.event, run != status.run?.name ?? "" {
        // The first status, or another run: what was before is asked for. What comes later comes as events.
        run = status.run?.name ?? ""
        if let job { input.yield(.event(StreamedEvent(try await client.job(job)))) }
        if let curves = try await curves(client) { input.yield(.curves(curves)) }
      }
      input.yield(.event(event))
    }
  }

  /// The job to follow: the one asked for, or the first in the queue that is not over; nil for a run by itself.
  private func find(_ id: Int?, _ client: ControlClient) async throws -> Int? {
    if let id { return id }
    guard try await client.status().value.mode == .serve else { return nil }
    guard let job = try await client.jobs().value.jobs.first(where: { !$0.state.isOver }) else {
      throw ControlError.nothingToDo
    }
    return job.id
  }

  /// Nil where the daemon has none yet.
  private func curves(_ client: ControlClient) async throws -> CurveTables? {
    do {
      return try await client.curves().value
    } catch let error as ControlError {
      guard case .refused = error.reason else { throw error }
      return nil
    }
  }

  // MARK: - What is shown

  private func show(on display: any WatchDisplay) async throws -> Outcome {
    var display = display
    var view = RunView()
    var lostSince: ContinuousClock.Instant?
    display.begin()
    defer { display.end() }
    for try await input in inputs {
      if Console.outputIsClosed { return .outputClosed }
      switch input {
      case .job(let id): view.jobID = id
      case .curves(let curves): view.replaceCurves(curves)
      case .event(let event):
        lostSince = nil
        view.outage = nil
        display.show(event)
        if let line = event.event.flatMap({ view.apply($0) }) { display.show(line) }
      case .lost(let error):
        guard let status = view.status else { throw error }  // there never was a connection
        if view.jobID == nil && status.activity == .stopping { return .stopped }
        let since = lostSince ?? .now
        lostSince = since
        let duration = ContinuousClock.now - since
        if duration > patience { throw error }
        view.outage = RunView.Outage(reason: error.description, seconds: duration / .seconds(1))
      case .redraw: break
      }
      let outcome = Self.outcome(of: view)
      display.refresh(view, isLast: outcome != nil)
      if let outcome { return outcome }
    }
    throw CancellationError()
  }

  private static func outcome(of view: RunView) -> Outcome? {
    switch view.job?.state {
    case .finished: .finished
    case .failed: .failed
    case .cancelled: .cancelled
    case .waiting, .running, .paused: nil
    case nil: view.status?.mode == .run && view.status?.activity == .finished ? .finished : nil
    }
  }
}
