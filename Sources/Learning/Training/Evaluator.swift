import Corpus
import Glibc
import Kernels
import Networks

/// Loss of a text.
public struct Evaluation: Codable, Equatable, Sendable {
  /// Predictions made: all tokens but the first.
  public let predictions: Int
  /// Sum of -ln p over them, in nats.
  public let nats: Double

  public init(predictions: Int, nats: Double) {
    self.predictions = predictions
    self.nats = nats
  }

  /// Of a language model: see `Measures.ofLanguageModels`.
  public var tallies: [Double] { [nats, Double(predictions)] }
  /// Mean loss, nats per token.
  public var loss: Double { nats / Double(predictions) }
  public var perplexity: Double { exp(loss) }
  /// The same in bits; per character or byte where tokens are those.
  public var bitsPerToken: Double { loss / M_LN2 }
}

/// Evaluates a text on all ranks: it is cut into lanes, a number that no rank count changes, each read from
/// zero state, and every prediction is counted once.
public final class Evaluator<Source: TokenSource>: Evaluating {
  private let group: any RankGroup
  private let layout: EvaluationLayout
  private let sequenceLength: Int
  private let blocks: [Block]

  /// Contiguous lanes that are read together.
  private struct Block {
    let cursor: EvaluationCursor<Source>
    let network: Network
    let states: RowStates
  }

  /// With `laneGroups`, lanes are read in that many groups, so that the bits do not depend on the number of ranks.
  /// Throws `CorpusError` for a text of fewer than two tokens or damaged token files, `KernelError`, and what `meanwhile`
  /// throws, which is called while files are checked.
  public init(
    _ configuration: ModelConfiguration, vocabularySize: Int, parameters: Parameters, source: Source,
    lanes: Int, laneGroups: Int? = nil, sequenceLength: Int, group: any RankGroup,
    meanwhile: () throws -> Void = {}
  ) throws {
    guard source.count >= 2 else {
      throw CorpusError(
        "the text to evaluate", "expected at least 2 tokens, found \(source.count)",
        remedy: "the first token is only read, so that one alone has no loss: give more text")
    }
    self.group = group
    layout = .evaluating(tokens: source.count, lanes: lanes)
    // Longer windows would be empty.
    let sequenceLength = min(sequenceLength, layout.longest)
    self.sequenceLength = sequenceLength
    let laneRanges = laneBlocks(of: layout.lanes, groups: laneGroups, rank: group.rank, ranks: group.count)
    // A rank without lanes only takes part in the sum.
    let plan = NetworkPlan(configuration, vocabularySize: vocabularySize)
    blocks = try laneRanges.filter { !$0.isEmpty }.map { [layout] lanes in
      try source.verify(layout.tokens(of: lanes), meanwhile: meanwhile)
      return Block(
        cursor: EvaluationCursor(source: source, layout: layout, lanes: lanes),
        network: try Network(
          plan, parameters: parameters,
          NetworkShape(steps: sequenceLength, lanes: lanes.count, purpose: .inference)),
        states: try RowStates(plan.states, lanes: lanes.count))
    }
  }

  /// Evaluates with the parameters as they are now. `progress` is told windows done and in all, `each` what every
  /// prediction cost: the place of the token in the text, the token and -ln p in nats; of each lane in order. A `StopRequest`
  /// that `progress` throws on one rank is thrown on all. `waiting` is called now and then where other ranks take longer.
  public func evaluate(
    progress: (Int, Int) throws -> Void = { _, _ in },
    each: (_ place: Int, _ token: Int32, _ loss: Double) throws -> Void = { _, _, _ in }, waiting: () -> Void = {}
  ) throws -> Evaluation {
    var sums = Array(repeating: 0.0, count: layout.lanes)
    var stop: StopRequest?
    do {
      try read(into: &sums, progress, each)
    } catch let request as StopRequest {
      stop = request
    }
    try group.waitForAll(waiting)
    // Each lane's sum comes from one rank and zero from the others, so this adds in lane order everywhere.
    let shared = try group.allReduce(sums + [stop == nil ? 0 : 1])
    guard shared[layout.lanes] == 0 else { throw stop ?? .elsewhere }
    return Evaluation(predictions: layout.tokens - 1, nats: shared.dropLast().reduce(0, +))
  }

  public func tallies(progress: (Int, Int) throws -> Void, waiting: () -> Void) throws -> [Double] {
    try evaluate(progress: progress, waiting: waiting).tallies
  }

  /// Adds up the losses of this rank's lanes.
  private func read(
    into sums: inout [Double], _ progress: (Int, Int) throws -> Void,
    _ each: (_ place: Int, _ token: Int32, _ loss: Double) throws -> Void
  ) throws {
    let windows = layout.blocks(of: sequenceLength)
    for (index, block) in blocks.enumerated() {
      try block.network.parametersChanged()
      block.states.clear()
      var losses = Array(repeating: 0.0, count: sequenceLength * block.cursor.lanes.count)
      let lanes = block.cursor.lanes
      var window = Window(sequenceLength: sequenceLength, lanes: lanes.count)
      for number in 0..<windows {
        try block.cursor.read(block: number, into: &window)
        try window.inputs.withUnsafeBufferPointer { inputs in
          try window.targets.withUnsafeBufferPointer { targets in
            try losses.withUnsafeMutableBufferPointer {
              $0.update(repeating: 0)
              try block.network.evaluate(inputs: inputs, targets: targets, states: block.states, losses: $0)
            }
          }
        }
        for (row, loss) in losses.enumerated() where window.targets[row] != Window.ended {
          let lane = lanes.lowerBound + row % lanes.count
          sums[lane] += loss
          let place = layout.predictions(lane: lane).lowerBound + number * sequenceLength + row / lanes.count
          try each(place, window.targets[row], loss)
        }
        try progress(index * windows + number + 1, blocks.count * windows)
      }
    }
  }
}
