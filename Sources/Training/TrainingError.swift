/// Training that cannot go on.
public enum TrainingError: Error, CustomStringConvertible, Equatable {
  /// A loss or gradient is not a number any more. The parameters are those of the step before.
  case diverged(step: Int, loss: Double, gradientNorm: Double)
  /// Less memory than the model needs.
  case tooLittleMemory(needed: Int, available: Int, ranks: Int)

  public var description: String {
    switch self {
    case .diverged(let step, let loss, let gradientNorm):
      "step \(step) has loss \(loss) and gradient norm \(gradientNorm); expected numbers: lower "
        + "optimizer.learningRate or training.clipNorm and start again from the last checkpoint"
    case .tooLittleMemory(let needed, let available, let ranks):
      "this run needs about \(megabytes(needed)) for the \(ranks) rank\(ranks == 1 ? "" : "s") on this machine, "
        + "which has \(megabytes(available)) to give: lower model.hiddenSizes, training.batchSize or the "
        + "vocabulary, start fewer ranks here, or use a machine with more memory"
    }
  }
}

func megabytes(_ bytes: Int) -> String { "\((bytes + 999_999) / 1_000_000) MB" }
