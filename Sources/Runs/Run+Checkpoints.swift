import Checkpoints
import Corpus
import Foundation
import Kernels
import Model
import Training

/// Saving, and going on from what was saved.
extension Run {
  /// Starts afresh, or from the newest checkpoint. Rank 0 alone reads the file; the others are told where the run
  /// stands, and tensors are broadcast.
  func beginOrResume(_ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus) throws {
    let file = try group.onFirst { try findCheckpoint(corpus) } ?? nil
    var laneStates: [Float] = []
    _ = try group.onFirst {
      guard let file else { return }
      try file.readParameters(into: trainer.parameters)
      for slot in trainer.optimizer.slots {
        try file.readOptimizer(slot: slot.name, into: slot.buffer, layout: trainer.parameters.layout)
      }
      curves = try file.readCurves()
      laneStates = try file.readLaneStates()
    }
    let position = try file.map { try JSONEncoder().encode(Position(progress: $0.progress, results: $0.results)) }
    let shared = try group.share(position.map { Array($0) } ?? [])
    guard !shared.isEmpty else {
      try trainer.begin()
      return try save(trainer, corpus)
    }
    let states = try group.share(laneStates.withUnsafeBytes { Array($0) })
    let found = try JSONDecoder().decode(Position.self, from: Data(shared))
    results = found.results
    try trainer.restore(found.progress, laneStates: states.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
    // More epochs than it was finished with: there is more to train, and then to test and to sample.
    if trainer.progress.finished == nil { results = RunResults() }
    guard let file else { return }
    reporter.report(.resumed(path: file.path, step: file.progress.step, epoch: file.progress.epoch))
    if file.provenance != provenance {
      reporter.report(
        .warning(
          "the run was made with \(file.provenance), and goes on with \(provenance): the last bits may differ from "
            + "those of a run without a break"))
    }
  }

  private struct Position: Codable {
    let progress: TrainingProgress
    let results: RunResults
  }

  private func findCheckpoint(_ corpus: PreparedCorpus) throws -> CheckpointFile? {
    let file = try store.newest { [reporter] path, error in
      reporter.report(.warning("passed over a checkpoint that cannot be read: \(error)"))
    }
    guard let file else { return nil }
    if resume == .never { throw RunError.folderIsNotEmpty(store.directory) }
    for (key, value) in RunConfiguration.fixedSettings {
      let (before, now) = (value(file.configuration), value(configuration))
      if before != now {
        throw CheckpointError.otherRun(directory: store.directory, key: key, before: before, now: now)
      }
    }
    guard file.corpusFingerprint == corpus.manifest.fingerprint else {
      throw CheckpointError.otherRun(
        directory: store.directory, key: "a corpus with fingerprint", before: file.corpusFingerprint,
        now: corpus.manifest.fingerprint)
    }
    return file
  }

  private var provenance: Provenance {
    Provenance(
      program: programVersion, oneDNN: OneDNN.version, instructionSet: OneDNN.instructionSet,
      threads: OneDNN.threads, ranks: group.count)
  }

  /// Saves a checkpoint and the curves; all ranks take part, the first one writes.
  func save(_ trainer: Trainer<TokenReader>, _ corpus: PreparedCorpus) throws {
    let laneStates = try trainer.gatherLaneStates()
    let path = try group.onFirst {
      let path = try store.save(
        Checkpoint(
          configuration: configuration, progress: trainer.progress, vocabulary: corpus.vocabulary,
          corpusFingerprint: corpus.manifest.fingerprint, parameters: trainer.parameters,
          optimizerSlots: trainer.optimizer.slots, laneStates: laneStates, curves: curves, results: results,
          provenance: provenance))
      try curves.save(to: "\(store.directory)/curves.h5")
      let best = trainer.progress.bestLoss == nil ? nil : trainer.progress.bestStep
      try store.prune(keep: configuration.output.keep, newest: trainer.progress.step, best: best)
      return path
    }
    if let path { reporter.report(.saved(path: path)) }
  }
}
