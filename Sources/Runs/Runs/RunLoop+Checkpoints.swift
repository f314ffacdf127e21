import Checkpoints
import Corpus
import Files
import Foundation
import Hosts
import Kernels
import Networks
import Replication
import Training

/// Saves checkpoints, and resumes from them.
extension RunLoop {
  /// Starts afresh, or from the newest checkpoint. Rank 0 alone reads the file; the others are told where the run
  /// stands, and tensors are broadcast.
  func beginOrResume(_ point: ResumePoint?) throws {
    let file = point?.take()
    saver?.passedOver = Set((point?.passedOver ?? []).map { $0.path })
    var rowStates: [Float] = []
    _ = try group.onFirst {
      guard let file else { return }
      try requireCorpus(of: file)
      try file.readParameters(into: learner.parameters)
      for slot in learner.optimizerSlots {
        try file.readOptimizer(slot: slot.name, into: slot.buffer, layout: learner.parameters.layout)
      }
      curves = try file.readCurves()
      rowStates = try file.readRowStates()
    }
    let position = try file.map {
      try JSONEncoder().encode(Position(progress: $0.card.progress, results: $0.card.results))
    }
    let shared = try group.broadcast(position.map { Array($0) } ?? [])
    guard !shared.isEmpty else {
      try begin()
      try save()
      return try finishSaving()
    }
    let states = try group.broadcast(rowStates.withUnsafeBytes { Array($0) })
    let found = try JSONDecoder().decode(Position.self, from: Data(shared))
    results = found.results
    pace.resume(curves, stepInEpoch: found.progress.stepInEpoch)
    try learner.restore(found.progress, rowStates: states.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
    // More epochs than it was finished with: there is more to train, and then to test and to sample.
    if learner.progress.finished == nil { results.reopen() }
    guard let file else { return }
    folder.copier?.saved(step: found.progress.step, best: bestStep)
    let provenance = Provenance.current(ranks: group.count)
    if file.card.provenance != provenance {
      reporter.report(
        .warning(
          "the run was made with \(file.card.provenance), and is resumed with \(provenance): the last bits may differ from "
            + "those of a run without a break"))
    }
  }

  private func begin() throws {
    let origin = "\(Int(Date().timeIntervalSince1970))-\(String(UInt64.random(in: .min ... .max), radix: 16))"
    try learner.begin(origin: origin) { [configuration, corpus, reporter] parameters in
      guard !configuration.model.from.isEmpty else { return }
      let base = try BaseModel(configuration, vocabulary: corpus.vocabulary) {
        reporter.report(.warning("passed over a checkpoint that cannot be read: \($0)"))
      }
      let known = base.fill(parameters, corpus.vocabulary)
      reporter.report(
        .begunFrom(path: configuration.model.from, knownTokens: known, vocabularySize: corpus.vocabulary.count))
    }
  }

  private struct Position: Codable {
    let progress: TrainingProgress
    let results: RunResults
  }

  /// Hands the evaluators once more what they had when the checkpoint was saved; the one of that step has the parameters.
  /// All ranks take part.
  func resumeEvaluation() throws {
    guard let pending = learner.progress.pendingEvaluation else { return }
    let problem = try group.broadcast(Array((group.isFirst ? handAgain(pending) ?? "" : "").utf8))
    guard !problem.isEmpty else { return }
    learner.awaits(nil)
    reporter.report(
      .warning(
        "the evaluation of step \(pending.step), which was under way when the run ended, is left out: "
          + String(decoding: problem, as: UTF8.self)))
  }

  /// Says why it cannot.
  private func handAgain(_ pending: TrainingProgress.PendingEvaluation) -> String? {
    guard let pool else { return "there are no evaluator ranks any more (coordinator.evaluators)" }
    do {
      let parameters = try Parameters(learner.parameters.layout)
      try CheckpointFile(store.path(step: pending.step)).readParameters(into: parameters)
      let task = EvaluationTask(
        part: .validation, step: pending.step, epoch: pending.epoch, isEndOfEpoch: pending.isEndOfEpoch)
      try pool.hand(.evaluate(task), parameters)
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func requireCorpus(of file: CheckpointFile) throws {
    guard file.card.corpus.fingerprint == corpus.identity.fingerprint else {
      throw CheckpointError.otherRun(
        directory: store.directory, key: "a corpus of", before: "\(file.card.corpus)", now: "\(corpus.identity)")
    }
  }

  /// Copies the state of the run and lets it be saved; all ranks take part.
  func save() throws {
    try learner.checkParameters()
    let rowStates = try learner.gatherRowStates()
    if learner.progress.finished != nil { flushCurve() }  // no step will complete the row
    curves.partial = pace.point
    curves.epoch = pace.epochSums
    try group.together {
      try saver?.save(
        Checkpoint(
          card: ModelMetadata(
            configuration: configuration, vocabulary: corpus.vocabulary, progress: learner.progress, results: results,
            corpus: corpus.identity, provenance: Provenance.current(ranks: group.count)),
          parameters: learner.parameters, optimizerSlots: learner.optimizerSlots, rowStates: rowStates,
          curves: curves), underEvaluation: underEvaluation)
    }
    reportSaves()
  }

  /// Waits until nothing is being saved. On the first rank returns why the newest checkpoint could not be, if so. All
  /// ranks take part.
  func settleSaves() throws -> (any Error)? {
    let failure: (any Error)?? = try group.onFirst {
      saver?.finish()
      reportSaves()
      return saveFailure
    }
    return failure ?? nil
  }

  /// Waits until the newest checkpoint is safe; an error if it could not be saved. All ranks take part.
  func finishSaving() throws {
    let failure = try settleSaves()
    try group.together { if let failure { throw failure } }
  }

  /// Before the run is left: a newest checkpoint that could not be saved is tried again.
  func saveForLater() throws {
    if try group.broadcast([settleSaves() == nil ? 0 : 1]) == [1] { try save() }
    try finishSaving()
  }

  /// Tells how the saves went that have ended since.
  func reportSaves() { saver?.outcomes().forEach(report) }

  private func report(_ outcome: CheckpointSaver.Outcome) {
    saveFailure = outcome.error
    if outcome.hadToWait {
      saves.delayed += 1
      savesWaited += outcome.stalledSeconds
      warnOfWaiting(at: outcome.step)
    }
    if let error = outcome.error {
      saves.failed += 1
      reporter.report(
        .warning(
          "the checkpoint of step \(outcome.step) could not be saved: \(error); training continues, and those before it "
            + "are as they were"))
      return
    }
    saves.saved += 1
    // The newest may still be on its way to another host.
    if let lastSaved { group.hasSaved(step: lastSaved) }
    lastSaved = outcome.step
    if let problem = outcome.problem { reporter.report(.warning("after saving step \(outcome.step): \(problem)")) }
    reporter.report(
      .saved(
        RunEvent.SaveSummary(
          path: outcome.path, step: outcome.step, stalledSeconds: outcome.stalledSeconds, seconds: outcome.seconds,
          hadToWait: outcome.hadToWait)))
    folder.copier?.saved(step: outcome.step, best: bestStep)
  }

  /// Warns when the waits for saves reach 1 % of the time, and again whenever they have doubled.
  private func warnOfWaiting(at step: Int) {
    let seconds = (clock.now - begun) / .seconds(1)
    guard savesWaited >= max(0.1, 2 * savesWaitedTold, seconds / 100) else { return }
    savesWaitedTold = savesWaited
    reporter.report(
      .warning(
        "up to step \(step), \(counted(saves.delayed, "save")) had to wait for the one before, and training with them for "
          + "\(String(format: "%.1f s, %.0f", savesWaited, 100 * savesWaited / seconds)) % of the time: save less often "
          + "(coordinator.checkpoint), or to a faster disk"))
  }

  private var bestStep: Int? { learner.progress.best == nil ? nil : learner.progress.bestStep }

  // MARK: - Copies on another host

  /// At the end of a run copies are waited for so long, and where it is stopped, so that who stops it need not wait.
  static var copySeconds: Double { 600 }
  static var hurriedCopySeconds: Double { 20 }

  /// Moves along what is being copied, without waiting.
  func moveCopies() throws {
    if let outcome = try folder.copier?.move() { report(outcome) }
    try folder.receiver?.move()
  }

  /// Waits until what was saved is copied, or for so many seconds. All ranks that train take part.
  func drainReplication(seconds: Double, abandons: Bool) throws {
    guard let replicaHost = folder.replicaHost else { return }
    if let copier = folder.copier {
      try copier.settle(
        seconds: seconds, abandons: abandons, hurriedSeconds: Self.hurriedCopySeconds, isHurried: cancellation.isRinging
      ).forEach(report)
      // Ranks set aside take what comes whenever it comes.
      if replicaHost < group.count { try copier.sayOver() }
    }
    try folder.receiver?.moveUntilOver()
    try group.waitForAll()
  }

  private func report(_ outcome: CheckpointCopier.Outcome) {
    guard let host = folder.copier?.host else { return }
    if let error = outcome.error {
      reporter.report(
        .warning(
          "the checkpoint of step \(outcome.step) could not be copied to \(host): \(error); it is on this host, and the "
            + "copies before it are as they were"))
      return
    }
    reporter.report(
      .copied(
        RunEvent.CopySummary(step: outcome.step, host: host, bytes: outcome.bytes, seconds: outcome.seconds)))
  }
}

extension Provenance {
  /// Of this process, among so many ranks.
  static func current(ranks: Int) -> Provenance {
    Provenance(
      program: programVersion, oneDNN: OneDNN.version, instructionSet: OneDNN.instructionSet, threads: OneDNN.threads,
      ranks: ranks)
  }
}

extension PreparedCorpus {
  /// What a checkpoint remembers of it.
  var identity: CorpusIdentity {
    var identity = CorpusIdentity()
    identity.fingerprint = manifest.fingerprint
    identity.trainingTokens = manifest.parts.train.tokens
    identity.validationTokens = manifest.parts.validation.tokens
    identity.testTokens = manifest.parts.test.tokens
    identity.vocabularySize = vocabulary.count
    return identity
  }
}
