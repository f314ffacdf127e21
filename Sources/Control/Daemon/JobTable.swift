import ControlAPI

/// A job as the queue keeps it.
struct QueuedJob: Equatable, Sendable {
  /// What was asked of a job while it ran, to be done when the run has stopped.
  enum Wish: String, Codable, Sendable { case pause, cancel }

  var job: Job
  /// Of its run, complete, as YAML.
  var configuration: String
  /// Jobs that are not over run in ascending order; those that are over have ended in ascending order. A fraction lets
  /// a job be moved between two others by changing its own file only.
  var order: Double
  var wish: Wish?
  /// Of its deaths, those since the last checkpoint of a step that it had not come to before.
  var fruitlessDeaths = 0

  var id: Int { job.id }
}

/// All jobs, in memory. What is asked of a job is answered with the job as it would be then; `put` makes it so.
struct JobTable: Sendable {
  /// So many that are over are remembered.
  static let mostOver = 200
  /// So many may wait, pause or run: what a program that submits without end can take up.
  static let mostToDo = 1000
  /// So often a job may take the daemon down with it, without a new checkpoint in between.
  static let mostDeaths = 3

  private var jobs: [Int: QueuedJob] = [:]
  /// The highest number ever given to a job.
  private var lastID: Int

  init(_ jobs: [QueuedJob], lastID: Int) {
    self.lastID = lastID
    for job in jobs { put(job) }
  }

  // MARK: - Looking

  subscript(_ id: Int) -> QueuedJob? { jobs[id] }

  func find(_ id: Int) throws -> QueuedJob {
    guard let job = jobs[id] else {
      throw ErrorBody.notFound(
        "there is no job \(id); the queue's list has the numbers, and of jobs that are over only the last "
          + "\(Self.mostOver)")
    }
    return job
  }

  func list() -> [Job] { (running + queued + over.reversed()).map(\.job) }

  var next: QueuedJob? { queued.first { $0.job.state == .waiting } }

  /// The jobs to be forgotten.
  var surplus: [Int] { over.dropLast(Self.mostOver).map(\.id) }

  private var running: [QueuedJob] { ordered { $0 == .running } }
  private var queued: [QueuedJob] { ordered { $0 == .waiting || $0 == .paused } }
  private var over: [QueuedJob] { ordered(\.isOver) }

  private func ordered(_ isWanted: (Job.State) -> Bool) -> [QueuedJob] {
    jobs.values.filter { isWanted($0.job.state) }.sorted { ($0.order, $0.id) < ($1.order, $1.id) }
  }

  // MARK: - Changing

  /// Puts a job, new or changed, in its place. How far it has come may have been told since the change was begun.
  mutating func put(_ changed: QueuedJob) {
    var changed = changed
    if let present = jobs[changed.id]?.job, present.state == .running {
      changed.job.step = present.step
      changed.job.totalSteps = present.totalSteps
      changed.job.validation = present.validation
    }
    jobs[changed.id] = changed
    lastID = max(lastID, changed.id)
  }

  mutating func remove(_ id: Int) { jobs[id] = nil }

  mutating func updateProgress(_ id: Int, step: Int, totalSteps: Int, validation: [String: Double]) {
    guard jobs[id]?.job.state == .running else { return }
    jobs[id]?.job.step = step
    jobs[id]?.job.totalSteps = totalSteps
    jobs[id]?.job.validation = validation
  }

  // MARK: - What is asked for

  func submitting(name: String, configuration: String, at time: Double) throws -> QueuedJob {
    let toDo = running + queued
    if let other = toDo.first(where: { $0.job.name == name })?.job {
      throw ErrorBody.conflict(
        "the run '\(name)' is in the queue already, as job \(other.id) (\(other.state.rawValue)): give this one "
          + "another name, or cancel that job")
    }
    guard toDo.count < Self.mostToDo else {
      throw ErrorBody.busy(
        "there are \(toDo.count) jobs in the queue; expected fewer than \(Self.mostToDo): cancel some, or "
          + "submit this one when some are over")
    }
    return QueuedJob(
      job: Job(id: lastID + 1, name: name, state: .waiting, submitted: time), configuration: configuration,
      order: (queued.last?.order ?? 0) + 1)
  }

  func cancelling(_ id: Int, at time: Double) throws -> QueuedJob {
    var job = try findToDo(id)
    if job.job.state == .running {
      job.wish = .cancel
      return job
    }
    return ended(job, .cancelled, at: time)
  }

  func pausing(_ id: Int) throws -> QueuedJob {
    var job = try findToDo(id)
    guard job.job.state == .running else {
      job.job.state = .paused
      return job
    }
    guard job.wish != .cancel else {
      throw ErrorBody.conflict("job \(id) (\(job.job.name)) is being cancelled")
    }
    job.wish = .pause
    return job
  }

  func resuming(_ id: Int) throws -> QueuedJob {
    var job = try findToDo(id, remedy: "; submit its run again to resume from its newest checkpoint")
    if job.job.state == .paused { job.job.state = .waiting }
    if job.wish == .pause { job.wish = nil }
    return job
  }

  /// Nil where there is no room between the neighbours any more: `spread` first.
  func moving(_ id: Int, to position: Int) throws -> QueuedJob? {
    var job = try findToDo(id)
    guard job.job.state != .running else {
      throw ErrorBody.conflict("job \(id) (\(job.job.name)) is running; expected one that waits or pauses")
    }
    guard position >= 0 else {
      throw ErrorBody.badRequest("the position is \(position); expected 0 (the first) or more")
    }
    let others = queued.filter { $0.id != id }
    let place = min(position, others.count)
    if queued[place].id == id { return job }
    switch (place > 0 ? others[place - 1].order : nil, place < others.count ? others[place].order : nil) {
    case (let before?, let after?):
      job.order = before + (after - before) / 2
      return job.order > before && job.order < after ? job : nil
    case (let before?, nil): job.order = before + 1
    case (nil, let after?): job.order = after - 1
    case (nil, nil): break
    }
    return job
  }

  /// The jobs that wait or pause, with whole numbers between them again. The last comes first, and all are behind where
  /// the last is now: whichever of them have been written when the power fails, their order is the same.
  func spread() -> [QueuedJob] {
    let queued = queued
    guard let last = queued.last else { return [] }
    return queued.enumerated().map { index, job in
      var job = job
      job.order = last.order.rounded(.up) + Double(index + 1)
      return job
    }.reversed()
  }

  // MARK: - What happens to the job that runs

  func beginning(_ id: Int, at time: Double) throws -> QueuedJob {
    var job = try find(id)
    guard job.job.state == .waiting else {
      throw ErrorBody.conflict("job \(id) (\(job.job.name)) is \(job.job.state.rawValue); expected one that waits")
    }
    precondition(running.isEmpty, "two jobs at a time")
    job.job.state = .running
    job.job.started = job.job.started ?? time
    return job
  }

  func savingProgress(_ id: Int) throws -> QueuedJob {
    var job = try find(id)
    job.fruitlessDeaths = 0
    return job
  }

  func ending(_ id: Int, _ outcome: JobQueue.Outcome, at time: Double) -> QueuedJob {
    guard let job = jobs[id], job.job.state == .running else { preconditionFailure("job \(id) does not run") }
    switch outcome {
    case .finished: return ended(job, .finished, at: time)
    case .failed(let error): return ended(job, .failed, at: time, error: error)
    case .stopped: return stopped(job, at: time)
    }
  }

  /// The jobs that ran when the daemon died, as they are now.
  func afterDeath(at time: Double) -> [QueuedJob] {
    running.map { job in
      if job.fruitlessDeaths >= Self.mostDeaths && job.wish != .cancel {
        return ended(
          job, .failed, at: time,
          error:
            "the daemon died \(job.fruitlessDeaths) times while it ran, without a new checkpoint, and it is not begun again. What the daemon "
            + "printed last may say why; often it is too little memory. When that is mended, submit the run again: it "
            + "resumes from its newest checkpoint")
      }
      return stopped(job, at: time)
    }
  }

  /// A job that no longer runs and is not over: it does what was wished, or waits again, before the others.
  private func stopped(_ job: QueuedJob, at time: Double) -> QueuedJob {
    if job.wish == .cancel { return ended(job, .cancelled, at: time) }
    var job = job
    job.job.state = job.wish == .pause ? .paused : .waiting
    job.wish = nil
    job.order = (queued.first?.order ?? 1) - 1
    return job
  }

  private func ended(_ job: QueuedJob, _ state: Job.State, at time: Double, error: String? = nil) -> QueuedJob {
    var job = job
    job.job.state = state
    job.job.ended = max(time, job.job.started ?? time)  // the clock may have been set back
    job.job.error = error
    job.wish = nil
    job.order = (over.last?.order ?? 0) + 1
    return job
  }

  private func findToDo(_ id: Int, remedy: String = "") throws -> QueuedJob {
    let job = try find(id)
    guard !job.job.state.isOver else {
      throw ErrorBody.conflict(
        "job \(id) (\(job.job.name)) is \(job.job.state.rawValue); expected one that is not over\(remedy)")
    }
    return job
  }
}
