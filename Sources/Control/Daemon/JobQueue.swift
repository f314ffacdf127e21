import ControlAPI
import Files
import Foundation
import Synchronization
import Training

/// The runs that a daemon is to train, one after another. The queue is on disk, so a restarted daemon resumes it.
///
/// A change is worked out on the table in memory (`JobTable`), written to the job's file (`JobFiles`) and only then put
/// in place: a full disk leaves all as it was, and the caller has the `FileError`. What a caller did wrong is an
/// `ErrorBody`. May be used from any thread. Reads never wait for the disk.
///
/// A job's life, as the daemon's loop drives it:
///
///     submit -> next, begin -> updateProgress… -> end
///
/// `cancel` and `pause` of a job that runs write down the wish and answer with the job, still running: it is on the
/// caller must stop the run; `end` with `stopped` then applies the recorded request.
public final class JobQueue: Sendable {
  /// Why a run is no longer under way.
  public enum Outcome: Equatable, Sendable {
    case finished
    /// With the reason, for people.
    case failed(String)
    /// Before its end, with a checkpoint to go on from: it was asked to, or the daemon ends. A job that nobody paused
    /// or cancelled waits again, before the others.
    case stopped
  }

  /// What was found in the queue's folder that is not as it should be, for people: files that are damaged, foreign or
  /// from a newer version, which are left alone, and jobs given up.
  public let problems: [String]

  private let directory: String
  /// What the runs of jobs may name.
  let confinement: Confinement
  private let files: JobFiles
  private let now: @Sendable () -> Double
  private let onChange: @Sendable (Job) -> Void
  private let table: Mutex<JobTable>
  /// Held for as long as a change takes, and has the ends that could not be written yet.
  private let unwritten = Mutex<Set<Int>>([])

  /// Opens the queue of a daemon's folder, making it if need be. Jobs that ran when the last daemon ended have died
  /// with it: they wait again, before the others, or have failed if that was for the third time.
  ///
  /// `onChange` is told of every change in its order, one at a time, and must not change the queue itself. `now` is in
  /// seconds since 1970; nothing but what people are shown depends on it, so it may jump. Jobs may also read what is in
  /// the folders of `data`.
  ///
  /// Throws `FileError`, with `EWOULDBLOCK` if another daemon has the folder, and for a folder that is not there.
  public init(
    directory: String, data: [String] = [],
    now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 },
    onChange: @escaping @Sendable (Job) -> Void = { _ in }
  ) throws {
    self.directory = directory
    self.now = now
    self.onChange = onChange
    files = try JobFiles(directory: "\(directory)/.queue")
    confinement = try Confinement(serving: directory, data: data)
    var (table, problems) = try files.load()
    for job in table.afterDeath(at: now()) {
      try files.write(job)
      table.put(job)
      if let error = job.job.error { problems.append("job \(job.id) (\(job.job.name)) has failed: \(error)") }
    }
    self.problems = problems
    self.table = Mutex(table)
  }

  // MARK: - Looking

  /// The job that runs, then those that wait or pause, in order, then those that are over, the last to end first.
  public func list() -> JobList { JobList(jobs: table.withLock { $0.list() }) }

  public func job(_ id: Int) throws -> Job { try table.withLock { try $0.find(id).job } }

  /// The complete configuration of a job's run, as YAML.
  public func configuration(of id: Int) throws -> String { try table.withLock { try $0.find(id).configuration } }

  /// The job whose turn it is; nil if none waits.
  public func next() -> Job? { table.withLock { $0.next?.job } }

  // MARK: - What people ask for

  /// Puts a run at the end of the queue; its folder is made in the daemon's, whatever its configuration says.
  public func submit(_ submission: JobSubmission) throws -> Job {
    let (name, yaml) = try complete(submission)
    return try change { table in
      let job = try table.submitting(name: name, configuration: yaml, at: now())
      // First, so that a number once given is never given again, also if what is written next fails.
      try files.write(lastID: job.id)
      return job
    }
  }

  /// Ends a job for good. One that runs is cancelled when it has stopped.
  public func cancel(_ id: Int) throws -> Job { try change { try $0.cancelling(id, at: now()) } }

  /// Lets a job wait until `resume`, in its place. One that runs pauses when it has stopped, before those that wait.
  public func pause(_ id: Int) throws -> Job { try change { try $0.pausing(id) } }

  public func resume(_ id: Int) throws -> Job { try change { try $0.resuming(id) } }

  /// Moves a job to a place among those that wait or pause, from 0; a place behind the last is the last.
  public func move(_ id: Int, to position: Int) throws -> Job {
    try change { table in
      if let moved = try table.moving(id, to: position) { return moved }
      var table = table
      for job in table.spread() {
        try write(job)
        table.put(job)
      }
      guard let moved = try table.moving(id, to: position) else {
        preconditionFailure("there is no room between jobs that have just been spread")
      }
      return moved
    }
  }

  // MARK: - What the daemon's loop does

  /// Marks a job as running, its death counted on disk before the run begins. Throws `ErrorBody` (`conflict`) if it no
  /// longer waits: ask `next` again. Only one job runs at a time.
  @discardableResult
  public func begin(_ id: Int) throws -> Job { try change { try $0.beginning(id, at: now()) } }

  /// How far the job that runs has come; what is not a number is left out. Kept in memory: the file says it when the
  /// job ends.
  public func updateProgress(_ id: Int, step: Int, totalSteps: Int, validation: [String: Double]) {
    table.withLock {
      $0.updateProgress(
        id, step: step, totalSteps: totalSteps,
        validation: validation.finite)
    }
  }

  /// The run of the job that runs has saved a checkpoint of a step that it had not come to before: whatever the daemon
  /// died of, the job goes on, so the deaths that make it fail are counted anew. Throws `FileError`.
  public func savedProgress(_ id: Int) throws { _ = try change { try $0.savingProgress(id) } }

  /// Says how the run of the job that runs has ended. That holds even if it cannot be written, for which there is a
  /// `FileError`: it is then written with the next change. A daemon that ends before has counted a death too many.
  @discardableResult
  public func end(_ id: Int, _ outcome: Outcome) throws -> Job {
    try unwritten.withLock { unwritten in
      let ended = table.withLock { table in
        let ended = table.ending(id, outcome, at: now())
        table.put(ended)
        return ended.job
      }
      onChange(ended)
      unwritten.insert(id)
      try catchUp(&unwritten)
      prune()
      return ended
    }
  }

  // MARK: - Changes

  /// One change at a time: worked out, written, put in place, told. Nothing is written if nothing changes.
  private func change(_ body: (JobTable) throws -> QueuedJob) throws -> Job {
    try unwritten.withLock { unwritten in
      try catchUp(&unwritten)
      let table = table.withLock { $0 }
      let changed = try body(table)
      guard table[changed.id] != changed else { return changed.job }
      try write(changed)
      onChange(changed.job)
      prune()
      return changed.job
    }
  }

  private func write(_ job: QueuedJob) throws {
    try files.write(job)
    table.withLock { $0.put(job) }
  }

  private func catchUp(_ unwritten: inout Set<Int>) throws {
    for id in unwritten {
      try files.write(table.withLock { try $0.find(id) })
      unwritten.remove(id)
    }
  }

  /// Forgets the jobs that were over first. A file that cannot be removed keeps its job until the next time.
  private func prune() {
    for id in table.withLock({ $0.surplus }) where (try? files.remove(id)) != nil {
      table.withLock { $0.remove(id) }
    }
  }

  /// The name and the complete configuration of a run that is asked for.
  private func complete(_ submission: JobSubmission) throws -> (name: String, yaml: String) {
    do {
      var configuration = try ConfigurationReader.read(
        yaml: submission.configuration, settings: submission.settings)
      configuration.output.directory = directory
      try confinement.check(configuration)
      return (configuration.name, try ConfigurationReader.yaml(of: configuration))
    } catch let error as ConfigurationError {
      throw ErrorBody.badRequest("\(error)")
    } catch let error as EncodingError {
      throw ErrorBody.badRequest("the configuration has a value that is not a number: \(error)")
    }
  }
}
