import Corpus
import Files
import Foundation
import Inference
import Kernels
import Networks
import Training

/// Opening the corpus and making the model, before the first step.
extension Run {
  /// Rank 0 prepares the text if that has to be done; the others open what it made, or what they are sent of it.
  func openCorpus(_ machines: Machines, _ cancellation: CancellationToken) throws -> PreparedCorpus {
    let distributes = configuration.corpus.distribute && machines.all.count > 1
    let corpus =
      distributes
      ? try CorpusDistribution(
        configuration: configuration, group: group, machines: machines, reporter: reporter, cancellation: cancellation
      ).open()
      : try openShared(cancellation)
    if group.isFirst {
      for warning in corpus.manifest.warnings { reporter.report(.warning(warning)) }
    }
    try group.together {
      for prompt in configuration.generation.prompts {
        _ = try Prompt(prompt.utf8).tokens(Tokenizer(vocabulary: corpus.vocabulary))
      }
      try requireValidation(corpus)
    }
    return corpus
  }

  /// Of a folder that all ranks see, or each machine has a copy of.
  private func openShared(_ cancellation: CancellationToken) throws -> PreparedCorpus {
    let own = try cancellation.onFirst { try CorpusDistribution.openHere(configuration.corpus, reporter, cancellation) }
    let directory = String(decoding: try group.broadcast(Array((own?.directory ?? "").utf8)), as: UTF8.self)
    let remedy =
      "set corpus.distribute to true, which sends each host what it needs, or copy the folder from rank 0's host"
    let corpus = try group.together {
      if let own { return own }
      guard FileSystem.exists(directory) else {
        throw CorpusError(directory, "expected the tokens that rank 0 reads, found none", remedy: remedy)
      }
      return try PreparedCorpus(directory: directory)
    }
    let fingerprint = String(
      decoding: try group.broadcast(Array(corpus.manifest.fingerprint.utf8)), as: UTF8.self)
    try group.together {
      guard corpus.manifest.fingerprint == fingerprint else {
        throw CorpusError(
          directory, "expected the tokens that rank 0 reads, \(fingerprint), found \(corpus.manifest.fingerprint)",
          remedy: remedy)
      }
    }
    return corpus
  }

  /// Some settings look at the validation text and would do nothing without one.
  private func requireValidation(_ corpus: PreparedCorpus) throws {
    guard corpus.manifest.parts.validation.tokens < 2 else { return }
    for (key, isUsed) in [
      ("training.patience", configuration.training.patience > 0),
      ("schedule.kind", configuration.schedule.kind == .plateau),
    ] where isUsed {
      throw ConfigurationError(
        key: key, problem: "\(key) needs a validation text; expected one in corpus.validation or corpus.split")
    }
  }

  /// Threads and memory, looked at by all ranks before any takes some.
  func prepareRanks(_ corpus: PreparedCorpus, _ hosts: [String]) throws {
    let training = configuration.training
    let threads = training.reproducible ? 1 : training.threads
    if threads > 0 { try group.together { try OneDNN.setThreads(threads) } }
    let ranksHere = hosts.count { $0 == hosts[group.rank] }
    if let warning = try MachineCores.warning(group) { reporter.report(.warning(warning)) }
    try group.together { try checkMemory(vocabularySize: corpus.vocabulary.count, ranksHere: ranksHere) }
  }

  func makeTrainer(_ corpus: PreparedCorpus, _ part: any RankGroup, _ cancellation: CancellationToken) throws
    -> Trainer<TokenReader>
  {
    let trainer = try part.together {
      try Trainer(configuration, vocabularySize: corpus.vocabulary.count, source: corpus.part(.train), group: part)
    }
    // Token files are verified when first mapped: now, rather than in the middle of an epoch on one rank.
    try cancellation.together(of: part) { try trainer.verifyTokens(meanwhile: cancellation.check) }
    return trainer
  }

  private func checkMemory(vocabularySize: Int, ranksHere: Int) throws {
    try MachineMemory.check(memoryEstimate(vocabularySize: vocabularySize).bytes, ranksHere: ranksHere)
  }

  func memoryEstimate(vocabularySize: Int) -> MemoryEstimate {
    MemoryEstimate(
      configuration, vocabularySize: vocabularySize,
      lanes: evenChunk(
        0, of: max(1, group.count - configuration.coordinator.evaluators), in: configuration.training.batchSize
      ).count, isFirst: group.isFirst)
  }

  func evaluator(
    of part: CorpusPart, _ corpus: PreparedCorpus, _ parameters: Parameters, _ ranks: any RankGroup,
    _ cancellation: CancellationToken
  ) throws -> Evaluator<TokenReader>? {
    guard corpus.manifest.parts[part].tokens >= 2 else { return nil }
    return try cancellation.together(of: ranks) {
      try Evaluator(
        configuration.model, vocabularySize: corpus.vocabulary.count, parameters: parameters,
        source: corpus.part(part), lanes: configuration.evaluation.lanes,
        laneGroups: configuration.training.reproducible ? configuration.training.laneGroups : nil,
        sequenceLength: configuration.training.sequenceLength, group: ranks, meanwhile: cancellation.check)
    }
  }
}
