import Corpus
import Networks
import Testing

@testable import Training

/// What a host is sent is what its ranks read.
@Suite struct LaneShareTests {
  /// Notes what is read of a text.
  private final class Recorder: TokenSource {
    let tokens: [Int32]
    var read: Set<Int> = []
    init(_ count: Int) { tokens = (0..<count).map { Int32($0 * $0 % 7) } }
    var count: Int { tokens.count }
    func copy(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Int32>) {
      read.formUnion(range)
      tokens.copy(range, into: output)
    }
    func verify(_ range: Range<Int>, meanwhile: () throws -> Void) {}
  }

  /// One of several ranks that pretends the others are there.
  private final class OneOfMany: RankGroup {
    let rank: Int
    let count: Int
    init(_ rank: Int, of count: Int) {
      self.rank = rank
      self.count = count
    }
    var host: String { "here" }
    var waitedSeconds: Double { 0 }
    func meetAfterError() -> Bool { true }
    func split(evaluators: Int) -> RankSplit { RankSplit(role: .training(self, nil)) }
    func makeExchange(
      count: Int, precision: TrainingConfiguration.ExchangePrecision
    ) throws -> any GradientExchange { try NoExchange(count: count) }
    func allReduce(_ values: [Double]) -> [Double] { values }
    func allGather(_ bytes: [UInt8]) -> [[UInt8]] { Array(repeating: bytes, count: count) }
    func send(_ values: UnsafeMutableBufferPointer<Float>, to rank: Int) {}
    func receive(_ values: UnsafeMutableBufferPointer<Float>, from rank: Int) {}
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {}
    func waitForAll(_ meanwhile: () -> Void) {}
    func makeLink() -> any RankLink { preconditionFailure("nobody is there") }
  }

  @Test(arguments: [false, true], 1...4)
  func ranksReadWhatTheyAreSent(reproducible: Bool, trainers: Int) throws {
    var configuration = RunConfiguration()
    configuration.model = ModelConfiguration(embeddingSize: 3, hiddenSizes: [3])
    configuration.training.batchSize = 7  // which no number of ranks here divides
    configuration.training.sequenceLength = 5
    configuration.training.epochs = 1
    configuration.training.reproducible = reproducible
    configuration.training.laneGroups = 5
    configuration.evaluation.lanes = 3  // fewer than ranks
    let tokens = PartMap(train: 400, validation: 61, test: 1)
    var all: Set<Int> = []
    for evaluators in 0...2 {
      configuration.coordinator.evaluators = evaluators
      let ranks = trainers + evaluators
      for rank in 0..<ranks {
        let told = try configuration.tokensRead(by: rank, of: ranks, in: tokens)
        #expect(told.test.isEmpty, "one token has no predictions")
        let trains = rank < trainers
        let group = OneOfMany(trains ? rank : rank - trainers, of: trains ? trainers : evaluators)
        let (text, validation) = (Recorder(tokens.train), Recorder(tokens.validation))
        let trainer = try Trainer(configuration, vocabularySize: 7, source: text, group: group)
        if trains {
          try trainer.begin()
          while !trainer.epochIsComplete { _ = try trainer.step() }
        }
        #expect(text.read == Set(told.train.joined()), "training of rank \(rank) of \(ranks)")
        all.formUnion(text.read)
        let evaluator = try Evaluator(
          configuration.model, vocabularySize: 7, parameters: trainer.parameters, source: validation,
          lanes: configuration.evaluation.lanes, laneGroups: reproducible ? 5 : nil, sequenceLength: 5, group: group)
        _ = try evaluator.evaluate()
        #expect(validation.read == Set(told.validation.joined()), "validation of rank \(rank) of \(ranks)")
      }
    }
    #expect(all.count > 380)
  }
}
