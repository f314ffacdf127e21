import ControlAPI
import ControlServer
import Files
import Kernels
import MPIRanks
import Runs
import TaskRegistry
import Terminal
import Training

/// Works through a queue of runs on all ranks, one after another, until it is asked to end.
///
/// The first rank has the queue and the server and says what comes next; every rank then does it. A run that fails is
/// marked so, and the next one begins. A fault that one rank meets while the others are elsewhere ends them all: the
/// queue has counted the death before the run began, and goes on when the daemon is started again.
public final class QueueDaemon {
  private let group: MPIRankGroup
  private let makeReporter: (RunConfiguration) -> any Reporter
  /// What the first rank has beside.
  private let head: Head?

  private struct Head {
    let state: ControlState
    let queue: JobQueue
    let server: ControlServer
    /// Of the daemon itself: over a little before a run's, so that none is begun that would be stopped at once.
    let interruption = Interruption(timeLimit: 0, earlier: 5)
  }

  /// Opens the queue of a folder and listens; all ranks take part. Jobs may name what is in the folder, in the one the
  /// program was started in, and in those of `data`. Throws `FileError` where another daemon has the folder, and what
  /// listening throws.
  public init(
    directory: String, data: [String], group: MPIRankGroup, address: TCPAddress?,
    makeReporter: @escaping (RunConfiguration) -> any Reporter
  ) throws {
    self.group = group
    self.makeReporter = makeReporter
    head = try group.onFirst { try Self.makeHead(directory, data, address) }
  }

  private static func makeHead(_ directory: String, _ data: [String], _ address: TCPAddress?) throws -> Head {
    try FileSystem.createDirectory(directory)
    let (state, queue) = try ControlState.serving(directory, data: data)
    for problem in queue.problems { say("warning: \(problem)") }
    let server = try ControlServer(in: directory, at: address, backend: state) { say($0) }
    say("serving the queue of \(directory) at \(server.socketPath)")
    if let address = server.address { say("listening at http://\(address); the token is in \(server.tokenPath)") }
    return Head(state: state, queue: queue, server: server)
  }

  private static func say(_ message: String) { Console.error("lockstepd: \(message)\n") }

  /// Trains what is in the queue until a signal asks for the end; says whether there is more to do.
  public func serve() throws -> Bool {
    defer { head?.server.stop() }
    let threads = OneDNN.threads
    while true {
      group.does("waiting for a job", step: 0, isResting: true)
      let job = try group.onFirst { try head.flatMap(nextJob) } ?? nil
      let yaml = try group.broadcast(Array((job?.configuration ?? "").utf8))
      if yaml.isEmpty { break }
      // A run before may have set its own number.
      try group.together { try OneDNN.setThreads(threads) }
      try train(String(decoding: yaml, as: UTF8.self), job?.id)
    }
    return try group.broadcast([head?.queue.next() == nil ? 0 : 1]) == [1]
  }

  /// Tenths of a second, at most, between attempts to write a queue whose disk is full.
  private static let patience = 100

  private struct NextJob {
    let id: Int
    let configuration: String
  }

  /// Waits, asleep, for a job; nil when asked to end.
  private func nextJob(_ head: Head) throws -> NextJob? {
    while head.interruption.reason == nil {
      if let job = head.queue.next() {
        head.state.jobBegins(job.id)
        do {
          try head.queue.begin(job.id)
          return NextJob(id: job.id, configuration: try head.queue.configuration(of: job.id))
        } catch is ErrorBody {
          // Somebody has cancelled or paused it just now.
          head.state.runEnded("the job does not run")
          continue
        } catch let error as FileError {
          Self.say("warning: job \(job.id) has to wait, since the queue cannot be written: \(error)")
          head.state.runEnded("the job does not run")
          for _ in 0..<Self.patience where head.interruption.reason == nil { head.state.waitForChange() }
        }
      }
      head.state.waitForChange()
    }
    return nil
  }

  private func train(_ yaml: String, _ id: Int?) throws {
    let outcome: JobQueue.Outcome
    do {
      try group.giveBack()
      let configuration = try ConfigurationReader.read(yaml: yaml)
      // Again: links may lead elsewhere by now, and the daemon may have been started with other folders.
      _ = try group.onFirst { try head?.queue.confinement.check(configuration) }
      let reporter: any Reporter = head.map { ReporterPair(makeReporter(configuration), $0.state) } ?? SilentReporter()
      let run = Run(
        configuration, task: configuration.task.task, group: group, reporter: reporter, resume: .auto,
        control: head?.state)
      outcome = try run.start() == .finished ? .finished : .stopped
    } catch {
      // Shared by all ranks, or there is no going on.
      guard group.meetAfterError() else {
        head?.state.runEnded("the daemon ends: \(error)")
        throw error
      }
      outcome = .failed("\(error)")
      if let id { Self.say("job \(id) has failed: \(error)") }
    }
    guard let head, let id else { return }
    head.state.runEnded("the run has ended")
    do {
      try head.queue.end(id, outcome)
    } catch {
      Self.say("warning: the end of job \(id) is not written to the queue yet: \(error)")
    }
  }
}
