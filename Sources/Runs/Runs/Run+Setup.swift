import Corpus
import Files
import Foundation
import Hosts
import Inference
import Kernels
import Networks
import Tasks
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

  /// Threads and memory, looked at by all ranks before any takes some.
  func prepareRanks(_ task: any LearningTask, _ hosts: [String]) throws {
    let training = configuration.training
    let threads = training.reproducible ? 1 : training.threads
    if threads > 0 { try group.together { try OneDNN.setThreads(threads) } }
    let ranksHere = hosts.count { $0 == hosts[group.rank] }
    if let warning = try MachineCores.warning(group) { reporter.report(.warning(warning)) }
    try group.together { try MachineMemory.check(memory(of: task).bytes, ranksHere: ranksHere) }
  }

  /// Of the rank that needs most, where the number of those that learn is as the configuration says.
  func memory(of task: any LearningTask) -> MemoryEstimate {
    task.memory(ranks: max(1, group.count - configuration.coordinator.evaluators), isFirst: group.isFirst)
  }

  func makeLearner(_ task: any LearningTask, _ part: any RankGroup, _ cancellation: CancellationToken) throws
    -> any Learner
  {
    let learner = try part.together { try task.makeLearner(part) }
    // Files are verified when first mapped: now, rather than in the middle of an epoch on one rank.
    try cancellation.together(of: part) { try learner.verify(meanwhile: cancellation.check) }
    return learner
  }

  func makeEvaluator(
    _ task: any LearningTask, of part: CorpusPart, _ parameters: Parameters, _ ranks: any RankGroup,
    _ cancellation: CancellationToken
  ) throws -> (any Evaluating)? {
    try cancellation.together(of: ranks) {
      try task.makeEvaluator(of: part, parameters, ranks, meanwhile: cancellation.check)
    }
  }
}
