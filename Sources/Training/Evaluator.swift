import Corpus
import Glibc
import Kernels
import Model

/// Loss of a text.
public struct Evaluation: Equatable, Sendable {
  /// Predictions made: all tokens but the first.
  public let predictions: Int
  /// Sum of -ln p over them, in nats.
  public let nats: Double

  public init(predictions: Int, nats: Double) {
    self.predictions = predictions
    self.nats = nats
  }

  /// Mean loss, nats per token.
  public var loss: Double { nats / Double(predictions) }
  public var perplexity: Double { exp(loss) }
  /// The same in bits; per character or byte where tokens are those.
  public var bitsPerToken: Double { loss / M_LN2 }
}

/// Evaluates a text on all ranks: it is cut into lanes, a number that no rank count changes, each read from
/// zero state, and every prediction is counted once.
public final class Evaluator<Source: TokenSource> {
  private let group: any RankGroup
  private let layout: EvaluationLayout
  private let cursor: EvaluationCursor<Source>
  private let model: LanguageModel?
  private let state: RecurrentState
  private var window: Window

  /// Throws `CorpusError` for a text of fewer than two tokens or damaged token files, and `KernelError`.
  public init(
    _ configuration: ModelConfiguration, vocabularySize: Int, parameters: Parameters, source: Source,
    lanes: Int, sequenceLength: Int, group: any RankGroup
  ) throws {
    guard source.count >= 2 else {
      throw CorpusError(
        "the text to evaluate", "expected at least 2 tokens, found \(source.count)",
        remedy: "the first token is only read, so that one alone has no loss: give more text")
    }
    self.group = group
    // More lanes than predictions would be empty, and longer windows too.
    layout = EvaluationLayout(tokens: source.count, lanes: min(lanes, source.count - 1))
    let sequenceLength = min(sequenceLength, layout.longest)
    let own = group.ownLanes(of: layout.lanes)
    if let first = own.first, let last = own.last {
      let predictions = layout.predictions(lane: first).lowerBound..<layout.predictions(lane: last).upperBound
      try source.verify(predictions.lowerBound - 1..<predictions.upperBound)
    }
    cursor = EvaluationCursor(source: source, layout: layout, lanes: own)
    // More ranks than lanes: this one only takes part in the sum.
    model =
      own.isEmpty
      ? nil
      : try LanguageModel(
        configuration, vocabularySize: vocabularySize, parameters: parameters, steps: sequenceLength,
        lanes: own.count, purpose: .inference)
    state = try RecurrentState(configuration, lanes: own.count)
    window = Window(sequenceLength: sequenceLength, lanes: own.count)
  }

  /// Evaluates with the parameters as they are now. `progress` is told windows done and in all.
  public func evaluate(progress: (Int, Int) -> Void = { _, _ in }) throws -> Evaluation {
    var losses = Array(repeating: 0.0, count: layout.lanes)
    if let model {
      try model.parametersChanged()
      state.clear()
      let blocks = layout.blocks(of: window.sequenceLength)
      for block in 0..<blocks {
        try cursor.read(block: block, into: &window)
        try window.inputs.withUnsafeBufferPointer { inputs in
          try window.targets.withUnsafeBufferPointer { targets in
            try losses.withUnsafeMutableBufferPointer {
              try model.evaluate(
                inputs: inputs, targets: targets, state: state,
                losses: UnsafeMutableBufferPointer(rebasing: $0[cursor.lanes]))
            }
          }
        }
        progress(block + 1, blocks)
      }
    }
    // Each lane's sum comes from one rank and zero from the others, so this adds in lane order everywhere.
    return Evaluation(
      predictions: layout.tokens - 1, nats: try group.sum(losses).reduce(0, +))
  }
}
