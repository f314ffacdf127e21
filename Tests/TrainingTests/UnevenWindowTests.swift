import Corpus
import Kernels
import Testing

@testable import Training

/// Steps of different size: last windows that are shorter, and windows whose ends move from epoch to epoch.
@Suite struct UnevenWindowTests {
  private let text: [Int32] = (0..<1000).map { Int32(($0 * $0 / 7 + $0) % 11) }

  private func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var configuration = RunConfiguration()
    configuration.model = .init(embeddingSize: 6, hiddenSizes: [7])
    configuration.training.batchSize = 6
    configuration.training.sequenceLength = 16
    configuration.training.lastWindow = .learn
    configuration.training.epochs = 2
    change(&configuration)
    return configuration
  }

  private func epoch(_ trainer: Trainer) throws -> [StepReport] {
    var reports: [StepReport] = []
    while !trainer.epochIsComplete { reports.append(try trainer.step()) }
    trainer.finishEpoch()
    return reports
  }

  @Test(arguments: [0, 3]) func everyTokenIsLearnedFromOnce(jitter: Int) throws {
    let trainer = try Trainer(
      configuration { $0.training.windowJitter = jitter }, vocabularySize: 11, source: text, group: SingleRank())
    try trainer.begin()
    let (first, second) = (try epoch(trainer), try epoch(trainer))
    #expect(first.map(\.targets).reduce(0, +) == text.count - 1 && trainer.unusedTargets == 0)
    #expect(second.map(\.targets).reduce(0, +) == text.count - 1)
    #expect(first.count == trainer.stepsPerEpoch && second.count == first.count)
    // Ends that move are elsewhere in the next epoch.
    #expect((first.map(\.targets) == second.map(\.targets)) == (jitter == 0))
  }

  @Test func anIncompleteStepEndsTheEpoch() throws {
    let trainer = try Trainer(
      configuration { $0.training.accumulation = 4 }, vocabularySize: 11, source: text, group: SingleRank())
    try trainer.begin()
    // 166 predictions of a lane are 11 windows: 4, 4 and 3 of them.
    let targets = try epoch(trainer).map(\.targets)
    #expect(targets == [4 * 16 * 6, 4 * 16 * 6, 999 - 8 * 16 * 6])
  }

  /// With parameters that do not change, losses of the steps add up to that of the text read at one go.
  @Test(arguments: Cell.allCases) func stepsAddUp(cell: Cell) throws {
    let still = configuration {
      $0.model.cell = cell
      $0.optimizer = .init(kind: .sgd, learningRate: 0)
    }
    let trainer = try Trainer(still, vocabularySize: 11, source: text, group: SingleRank())
    try trainer.begin()
    let evaluator = try Evaluator(
      still.model, vocabularySize: 11, parameters: trainer.parameters, source: text, lanes: 6, sequenceLength: 16,
      group: SingleRank())
    let nats = try epoch(trainer).reduce(0.0) { $0 + $1.loss * Double($1.targets) }
    let whole = try evaluator.evaluate()
    #expect(whole.predictions == text.count - 1)
    #expect(abs(nats - whole.nats) < 1e-5 * whole.nats, "\(cell): \(nats), \(whole.nats)")
  }

  @Test func aRunResumesInTheMiddleOfAnEpoch() throws {
    let changing = configuration { $0.training.windowJitter = 4 }
    func make() throws -> Trainer {
      try Trainer(changing, vocabularySize: 11, source: text, group: SingleRank())
    }
    let (whole, begun, resumed) = (try make(), try make(), try make())
    try whole.begin()
    try begun.begin()
    for _ in 0..<5 { _ = try begun.step() }
    for (to, from) in zip(
      [resumed.parameters.buffer] + resumed.optimizer.slots.map(\.buffer),
      [begun.parameters.buffer] + begun.optimizer.slots.map(\.buffer))
    { to.copy(from: from) }
    try resumed.restore(begun.progress, rowStates: begun.gatherRowStates())
    let reports = try epoch(whole)
    #expect(try epoch(resumed) == Array(reports.dropFirst(5)))
  }

  @Test(arguments: [
    ("training.windowJitter", ["training.windowJitter=3"]),
    ("training.windowJitter", ["training.windowJitter=10", "training.lastWindow=learn", "training.sequenceLength=36"]),
    ("training.lastWindow", ["training.lastWindow=keep"]),
  ])
  func settingsThatCannotBe(key: String, settings: [String]) throws {
    let error = #expect(throws: ConfigurationError.self) {
      _ = try ConfigurationReader.read(yaml: nil, settings: settings)
    }
    #expect(error?.key == key)
  }
}
