import Corpus
import Foundation
import Kernels
import Networks
import Testing
import Training

@Suite struct TrainerTests {
  private let vocabularySize = 12

  private func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var configuration = RunConfiguration()
    configuration.model = ModelConfiguration(embeddingSize: 8, hiddenSizes: [10, 6])
    configuration.training.batchSize = 5
    configuration.training.sequenceLength = 7
    configuration.training.epochs = 2
    configuration.training.bucketSize = 100
    configuration.optimizer = OptimizerConfiguration(kind: .adam, learningRate: 0.01)
    change(&configuration)
    return configuration
  }

  /// Words that follow each other by a rule, so that there is something to learn.
  private let text: [Int32] = (0..<400).map { Int32(($0 * $0 / 3 + $0) % 12) }

  private func trainer(_ configuration: RunConfiguration, group: any RankGroup = SingleRank()) throws
    -> Trainer
  {
    try Trainer(configuration, vocabularySize: vocabularySize, source: text, group: group)
  }

  private func losses(_ trainer: Trainer, steps: Int) throws -> [Double] {
    try (0..<steps).map { _ in
      let report = try trainer.step()
      if trainer.epochIsComplete { trainer.finishEpoch() }
      return report.loss
    }
  }

  @Test func itLearns() throws {
    let trainer = try trainer(configuration { $0.training.epochs = 20 })
    try trainer.begin()
    let losses = try losses(trainer, steps: trainer.stepsPerEpoch * 20)
    #expect(abs((losses.first ?? 0) - log(12.0)) < 0.3)
    #expect((losses.last ?? 9) < 0.7 * (losses.first ?? 0))
    #expect(trainer.progress.finished == .epochs)
  }

  @Test func lanesOfRandomTokensDiffer() {
    let lanes = 20
    let perLane = 35 << 22
    let tokens = RandomTokens(count: lanes * perLane + 1, vocabularySize: 10_000, seed: 1)
    let windows = (0..<lanes).map { lane in
      [Int32](unsafeUninitializedCapacity: 35) { buffer, count in
        tokens.copy(lane * perLane..<lane * perLane + 35, into: buffer)
        count = 35
      }
    }
    #expect(Set(windows).count == lanes && Set(windows.joined()).count > 600)
  }

  /// What is not touched needs no care: the same bits with a look at every row.
  @Test(arguments: [OptimizerConfiguration.Kind.sgd, .momentum, .adam])
  func rowsThatAreNotReadStayAsTheyAre(kind: OptimizerConfiguration.Kind) throws {
    func run(touchedRows: Bool) throws -> [Float] {
      let configuration = configuration {
        $0.training.touchedRows = touchedRows
        $0.optimizer = OptimizerConfiguration(kind: kind, learningRate: 0.1)
      }
      let trainer = try Trainer(configuration, vocabularySize: 90, source: text, group: SingleRank())
      try trainer.begin()
      _ = try losses(trainer, steps: 8)
      return Array(trainer.parameters.buffer.values)
    }
    #expect(try run(touchedRows: true) == run(touchedRows: false))
  }

  @Test func theSameSeedGivesTheSameBits() throws {
    func run(seed: UInt64) throws -> [Float] {
      let trainer = try trainer(
        configuration {
          $0.seed = seed; $0.model.dropout = 0.3
        })
      try trainer.begin()
      _ = try losses(trainer, steps: 8)
      return Array(trainer.parameters.buffer.values)
    }
    #expect(try run(seed: 3) == run(seed: 3))
    #expect(try run(seed: 3) != run(seed: 4))
  }

  @Test(arguments: NetworkKind.allCases, [0.0, 0.4])
  func aRestoredRunGoesOnToTheSameBits(kind: NetworkKind, dropout: Double) throws {
    let configuration = configuration { ($0.model.kind, $0.model.dropout) = (kind, dropout) }
    let whole = try trainer(configuration)
    try whole.begin()
    _ = try losses(whole, steps: 5)
    let progress = whole.progress
    let states = try whole.gatherRowStates()
    let parameters = Array(whole.parameters.buffer.values)
    let slots = whole.optimizer.slots.map { Array($0.buffer.values) }
    _ = try losses(whole, steps: 12)

    let resumed = try trainer(configuration)
    for (index, value) in parameters.enumerated() { resumed.parameters.buffer[index] = value }
    for (slot, values) in zip(resumed.optimizer.slots, slots) {
      for (index, value) in values.enumerated() { slot.buffer[index] = value }
    }
    try resumed.restore(progress, rowStates: states)
    _ = try losses(resumed, steps: 12)
    #expect(Array(resumed.parameters.buffer.values) == Array(whole.parameters.buffer.values))
    #expect(resumed.progress == whole.progress)
  }

  /// The two sums differ by the window's length, so rates that differ by as much learn alike.
  @Test func gradientScalesDifferByTheWindow() throws {
    func run(_ gradient: TrainingConfiguration.GradientScale, rate: Double) throws -> [Double] {
      let trainer = try trainer(
        configuration {
          $0.training.gradient = gradient
          $0.training.clipNorm = 0
          $0.optimizer = OptimizerConfiguration(kind: .sgd, learningRate: rate)
        })
      try trainer.begin()
      return try losses(trainer, steps: 10)
    }
    let mean = try run(.tokenMean, rate: 0.7)
    let sum = try run(.laneMean, rate: 0.1)
    for (mean, sum) in zip(mean, sum) { #expect(abs(mean - sum) < 1e-5) }
  }

  @Test func clippingHoldsTheUpdateDown() throws {
    let trainer = try trainer(
      configuration {
        $0.training.clipNorm = 0.01
        $0.optimizer = OptimizerConfiguration(kind: .sgd, learningRate: 1)
      })
    try trainer.begin()
    let before = Array(trainer.parameters.buffer.values)
    let report = try trainer.step()
    let moved = zip(before, trainer.parameters.buffer.values).reduce(0.0) { $0 + pow(Double($1.1 - $1.0), 2) }
    #expect(report.gradientNorm > 0.01)
    #expect(abs(moved.squareRoot() - 0.01) < 1e-5)
  }

  @Test func accumulationIsOneUpdateOfSeveralWindows() throws {
    let trainer = try trainer(configuration { $0.training.accumulation = 3 })
    try trainer.begin()
    #expect(try trainer.stepsPerEpoch == trainer.configuration.laneLayout(tokens: text.count).windowsPerEpoch / 3)
    let report = try trainer.step()
    #expect(report.step == 1 && report.tokens == 3 * 5 * 7)
    #expect(trainer.unusedTargets == text.count - 1 - trainer.stepsPerEpoch * 105)
  }

  @Test func runsEndWhenTheyShould() throws {
    let short = try trainer(configuration { $0.training.maximumSteps = 3 })
    try short.begin()
    _ = try losses(short, steps: 3)
    #expect(short.progress.finished == .maximumSteps && short.totalSteps == 3)

    let impatient = try trainer(
      configuration {
        $0.training.epochs = 9
        $0.training.patience = 2
        $0.schedule.kind = .plateau
        $0.schedule.patience = 0
      })
    try impatient.begin()
    for loss in [3.0, 2.0, 2.5, 2.1] {
      while !impatient.epochIsComplete { _ = try impatient.step() }
      impatient.finishEpoch()
      impatient.observe(
        loss, step: impatient.progress.step, epoch: impatient.progress.epoch, isEndOfEpoch: true)
    }
    #expect(impatient.progress.finished == .patience)
    #expect(impatient.progress.best == 2 && impatient.progress.bestEpoch == 2)
    #expect(impatient.progress.reductions == 2)

    let none = try trainer(configuration { $0.training.epochs = 0 })
    try none.begin()
    #expect(none.progress.finished == .epochs)
  }

  @Test func numbersThatAreNoneStopTheRun() throws {
    let trainer = try trainer(
      configuration { $0.optimizer = OptimizerConfiguration(kind: .sgd, learningRate: 1e39) })
    try trainer.begin()
    #expect(throws: TrainingError.self) { _ = try losses(trainer, steps: 10) }
  }

  @Test func whatCannotBeDealtIsRefused() {
    #expect(throws: CorpusError.self) { try trainer(configuration { $0.training.batchSize = 60 }) }
    #expect(throws: ConfigurationError.self) { try trainer(configuration { $0.training.accumulation = 50 }) }
    #expect(throws: ConfigurationError.self) { try trainer(configuration(), group: ManyRanks(6)) }
  }

  @Test(arguments: [(50, 4), (3, 3), (7, 2), (2, 5)])
  func lanesAreDealtEvenly(total: Int, ranks: Int) {
    let dealt = (0..<ranks).map { evenChunk($0, of: ranks, in: total) }
    #expect(dealt.flatMap { Array($0) } == Array(0..<total))
    #expect((dealt.map(\.count).max() ?? 0) - (dealt.map(\.count).min() ?? 0) <= 1)
  }

  @Test func tooLargeModelsAreSeenBeforeTheyAreMade() {
    let huge = configuration { $0.model.hiddenSizes = [200_000] }
    #expect(MemoryEstimate(huge, vocabularySize: 10, lanes: 1, isFirst: true).bytes > 500_000_000_000)
    // The largest that a configuration may say.
    let absurd = configuration { $0.model.hiddenSizes = Array(repeating: 1 << 20, count: 1024) }
    #expect(MemoryEstimate(absurd, vocabularySize: 10, lanes: 1, isFirst: true).bytes >= 1 << 55)
  }

  /// Says there are others; enough to be refused.
  private final class ManyRanks: RankGroup {
    let count: Int
    init(_ count: Int) { self.count = count }
    var rank: Int { 0 }
    var host: String { "here" }
    var waitedSeconds: Double { 0 }
    func meetAfterError() -> Bool { true }
    func split(evaluators: Int) -> RankSplit { RankSplit(role: .training(self, nil)) }
    func makeExchange(
      count: Int, precision: TrainingConfiguration.ExchangePrecision
    ) throws -> any GradientExchange { try NoExchange(count: count) }
    func allReduce(_ values: [Double]) -> [Double] { values }
    func allGather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
    func send(_ values: UnsafeMutableBufferPointer<Float>, to rank: Int) {}
    func receive(_ values: UnsafeMutableBufferPointer<Float>, from rank: Int) {}
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {}
    func waitForAll(_ meanwhile: () -> Void) {}
    func makeLink() -> any RankLink { preconditionFailure("nobody is there") }
  }
}
