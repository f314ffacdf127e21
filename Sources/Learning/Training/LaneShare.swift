import Corpus

/// The lanes, of `total`, that a rank owns, in the blocks in which it reads them: one, or with lane groups one for each of
/// those it owns. Some may be empty where there are few lanes.
func laneBlocks(of total: Int, groups: Int?, rank: Int, ranks: Int) -> [Range<Int>] {
  guard let groups else { return [evenChunk(rank, of: ranks, in: total)] }
  return evenChunk(rank, of: ranks, in: groups).map { evenChunk($0, of: groups, in: total) }
}

extension EvaluationLayout {
  /// For a text of so many tokens: more lanes than predictions would be empty.
  static func evaluating(tokens: Int, lanes: Int) -> EvaluationLayout {
    EvaluationLayout(tokens: tokens, lanes: min(lanes, tokens - 1))
  }

  /// The tokens that some lanes read.
  func tokens(of lanes: Range<Int>) -> Range<Int> {
    predictions(lane: lanes.lowerBound).lowerBound - 1..<predictions(lane: lanes.upperBound - 1).upperBound
  }
}

extension LaneLayout {
  /// The tokens that a lane reads in an epoch.
  func tokens(of lane: Int) -> Range<Int> {
    let last = predictions(lane: lane, window: windowsPerEpoch - 1, epoch: 0)
    return predictions(lane: lane, window: 0, epoch: 0).lowerBound - 1..<last.upperBound
  }
}

extension RunConfiguration {
  /// How a training text of so many tokens is dealt. Throws `CorpusError` for one that is too short.
  public func laneLayout(tokens: Int) throws -> LaneLayout {
    try LaneLayout(
      tokens: tokens, lanes: training.batchSize, sequenceLength: training.sequenceLength,
      lastWindow: training.lastWindow, jitter: training.windowJitter, seed: seed)
  }

  /// The tokens of each part, of so many, that one rank of a run reads, be it one that trains or one set aside. Throws
  /// `CorpusError` for a training text that is too short.
  public func tokensRead(by rank: Int, of ranks: Int, in tokens: PartMap<Int>) throws -> PartMap<[Range<Int>]> {
    let trainers = ranks - coordinator.evaluators
    let trains = rank < trainers
    let (own, peers) = trains ? (rank, trainers) : (rank - trainers, coordinator.evaluators)
    let groups = training.reproducible ? training.laneGroups : nil
    func evaluated(_ tokens: Int) -> [Range<Int>] {
      if tokens < 2 { return [] }
      let layout = EvaluationLayout.evaluating(tokens: tokens, lanes: evaluation.lanes)
      return laneBlocks(of: layout.lanes, groups: groups, rank: own, ranks: peers).filter { !$0.isEmpty }
        .map(layout.tokens)
    }
    var trained: [Range<Int>] = []
    if trains {
      let layout = try laneLayout(tokens: tokens.train)
      trained = laneBlocks(of: training.batchSize, groups: groups, rank: own, ranks: peers).flatMap { $0 }
        .map(layout.tokens)
    }
    return PartMap(train: trained, validation: evaluated(tokens.validation), test: evaluated(tokens.test))
  }
}
