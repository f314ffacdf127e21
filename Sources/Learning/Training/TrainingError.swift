import Files

/// Training that cannot go on.
public enum TrainingError: Error, CustomStringConvertible, Equatable {
  /// A loss, gradient or parameter is not a number any more.
  case diverged(step: Int, of: String)
  /// Ranks whose parameters are not those of the others.
  case replicasDiffer(step: Int, ranks: [Int])
  /// Less memory than the model needs.
  case tooLittleMemory(needed: Int, available: Int, ranks: Int)

  public var description: String {
    switch self {
    case .diverged(let step, let what):
      "at step \(step) \(what) is not a finite number; lower optimizer.learningRate or set training.clipNorm; the last "
        + "checkpoint is from before that"
    case .replicasDiffer(let step, let ranks):
      "after step \(step) the parameters of rank \(ranks.map(String.init).joined(separator: " and rank ")) are not those of "
        + "the others; expected the same bits everywhere: check that host's memory and processor, and resume from the last "
        + "checkpoint"
    case .tooLittleMemory(let needed, let available, let ranks):
      "this run needs about \(megabytes(needed)) for the \(counted(ranks, "rank")) on this machine, "
        + "which has \(megabytes(available)) to give: lower model.hiddenSizes, model.embeddingSize, training.batchSize or the "
        + "vocabulary, start fewer ranks here, or use a machine with more memory"
    }
  }
}

/// Bytes as people say them.
public func megabytes(_ bytes: Int) -> String {
  bytes < 10_000_000_000 ? "\((bytes + 999_999) / 1_000_000) MB" : "\(bytes / 1_000_000_000) GB"
}
