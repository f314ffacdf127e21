import ControlAPI

/// What the server asks of the daemon behind it. Every call may come on any thread, at any time, many at once, and
/// none may wait for the training loop unless it says so.
///
/// Errors thrown here are `ErrorBody` (what the caller did wrong, or what cannot be now) or bugs. Numbers that have to
/// be there are finite: JSON has no others. A call whose task is cancelled, because the client has gone or the server
/// stops, ends soon.
public protocol ControlBackend: Sendable {
  // MARK: What is known: answered from a copy, at once
  func status() -> Status
  /// Rows after a step; at most `points` of each table, thinned evenly (first and last kept) if there are more.
  func curves(after step: Int, points: Int) throws -> CurveTables
  func samples() -> SampleList
  func configuration() throws -> RunConfigurationText

  // MARK: Asked of the training loop: answered when it is done
  func evaluate(_ request: EvaluationRequest) async throws -> EvaluationResult
  /// Pieces of text as they come, then the end. A caller that goes away ends it.
  func generate(_ request: GenerationRequest) async throws -> AsyncThrowingStream<GenerationPiece, any Error>
  func checkpoint() async throws -> CheckpointResult

  // MARK: Told to the training loop: answered at once
  func pause() throws -> Accepted
  func resume() throws -> Accepted
  func stop() throws -> Accepted

  // MARK: The queue; a single run throws `conflict`
  func jobs() throws -> JobList
  func job(_ id: Int) throws -> Job
  func submit(_ submission: JobSubmission) async throws -> Job
  func cancel(_ id: Int) throws -> Job
  func pause(_ id: Int) throws -> Job
  func resume(_ id: Int) throws -> Job
  func move(_ id: Int, _ move: JobMove) throws -> Job

  /// Everything that happens from now on.
  func events() -> AsyncStream<Event>
}

public enum GenerationPiece: Equatable, Sendable {
  case text(String)
  case end(GenerationEnd)
}
