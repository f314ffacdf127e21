import Corpus
import Foundation
import Glibc
import Hosts
import Kernels
import Networks
import Training

/// How fast a configuration trains on these ranks, and where the time goes. On random tokens: no text is needed.
public struct Benchmark {
  /// What is measured.
  public struct Subject: Sendable {
    public let name: String
    public let configuration: RunConfiguration
    public let vocabularySize: Int

    public init(name: String, configuration: RunConfiguration, vocabularySize: Int) {
      self.name = name
      self.configuration = configuration
      self.vocabularySize = vocabularySize
    }
  }

  /// What was measured, of all ranks together unless it says otherwise.
  public struct Result: Codable, Sendable {
    public struct Exchange: Codable, Sendable {
      /// Bytes of gradient that a rank brings to a step's exchange.
      public var bytesPerStep: Int
      /// Seconds of an exchange while nothing else is done.
      public var seconds: Double
      /// Seconds of it that a step does not stand still for, at most: what moves it along while layers go backward, and
      /// messages that wait behind it, count as these.
      public var hiddenSeconds: Double
    }

    public var name: String
    public var cell: String
    public var layers: Int
    public var hidden: Int
    public var vocabulary: Int
    public var lanesPerRank: Double
    public var sequenceLength: Int
    public var ranks: Int
    /// Of a rank.
    public var threads: Int
    public var steps: Int
    /// Median.
    public var stepSeconds: Double
    /// What steps took in the mean: beside other programs, more than most of them took.
    public var meanStepSeconds: Double
    public var tokensPerSecond: Double
    /// 10^9 operations a second; those of a step are counted as 6 (sum of gates H (I + H) + H V) B T.
    public var gflops: Double
    /// Of matrix products, measured just before and just after.
    public var peakGflops: Double
    public var shareOfPeak: Double
    /// Most memory that each rank has had resident while training, bytes.
    public var peakResidentBytes: [Int]
    /// Seconds of a step, mean over steps and ranks, by what they went to.
    public var breakdown: [String: Double]
    public var exchange: Exchange
  }

  private let group: any RankGroup
  /// Of a configuration that says nothing of threads.
  private let threads = OneDNN.threads
  /// Told what is measured now.
  private let report: (String) -> Void

  public init(group: any RankGroup, report: @escaping (String) -> Void) {
    self.group = group
    self.report = report
  }

  /// Trains `steps` steps; 0: as many as take about three seconds. All ranks take part.
  public func measure(_ subject: Subject, steps: Int) throws -> Result {
    var configuration = subject.configuration
    configuration.training.checksumSteps = 0
    configuration.training.maximumSteps = 0
    configuration.training.epochs = 1  // of more steps than will be made
    let training = configuration.training
    // As in a run.
    let threads = training.reproducible ? 1 : training.threads > 0 ? training.threads : threads
    if threads != OneDNN.threads { try group.together { try OneDNN.setThreads(threads) } }
    if let warning = try MachineCores.warning(group) { report("warning: \(warning)") }
    report("\(subject.name): matrix products")
    let ratesBefore = try productRates()
    report("\(subject.name): training")
    try checkMemory(configuration, subject.vocabularySize)
    forgetPeakMemory()
    let perStep = training.batchSize * training.sequenceLength * training.accumulation
    let most = min(1 << 22, (1 << 60) / perStep)
    let trainer = try group.together {
      try Trainer(
        configuration, vocabularySize: subject.vocabularySize,
        source: RandomTokens(
          count: perStep * most + 1,
          vocabularySize: subject.vocabularySize, seed: configuration.seed), group: group)
    }
    try trainer.begin(origin: "") { _ in }

    let (warmUp, first) = (3, try seconds(trainer))
    var next = first
    for _ in 1..<warmUp { next = try seconds(trainer) }
    // The same number on every rank.
    let mean = try group.allReduce([next])[0] / Double(group.count)
    let count = min(steps > 0 ? steps : max(5, Int(3 / mean)), most - warmUp)
    trainer.times.clear()
    let times = try (0..<count).map { _ in try seconds(trainer) }
    let breakdown = try group.allReduce(StepTimes.Part.allCases.map(trainer.times.seconds))
      .map { $0 / Double(count * group.count) }
    let step = Self.median(times)

    let exchanges = try (0..<5).map { _ in try trainer.exchangeSeconds() }
    let alone = try group.allReduce([Self.median(exchanges)])[0] / Double(group.count)
    let memory = try residentBytes()
    report("\(subject.name): matrix products")
    let peak = zip(ratesBefore, try productRates()).map { Self.median($0 + $1) }.max() ?? 0

    let tokens = Double(perStep)
    let gflops = Self.operationsPerToken(configuration.model, subject.vocabularySize) * tokens / step * 1e-9
    return Result(
      name: subject.name, cell: configuration.model.summary, layers: configuration.model.hiddenSizes.count,
      hidden: configuration.model.outputSize, vocabulary: subject.vocabularySize,
      lanesPerRank: Double(training.batchSize) / Double(group.count), sequenceLength: training.sequenceLength,
      ranks: group.count, threads: OneDNN.threads, steps: count, stepSeconds: step,
      meanStepSeconds: times.reduce(0, +) / Double(count), tokensPerSecond: tokens / step, gflops: gflops,
      peakGflops: peak * 1e-9, shareOfPeak: gflops / (peak * 1e-9),
      peakResidentBytes: memory,
      breakdown: Dictionary(uniqueKeysWithValues: zip(StepTimes.Part.allCases.map { "\($0)" }, breakdown)),
      exchange: Result.Exchange(
        bytesPerStep: trainer.exchangedBytes, seconds: alone,
        hiddenSeconds: max(0, alone - breakdown[StepTimes.Part.exchange.rawValue])))
  }

  /// Throws `TrainingError` for a shape that does not fit, on all ranks.
  private func checkMemory(_ configuration: RunConfiguration, _ vocabularySize: Int) throws {
    let hosts = try group.allGather(Array(group.host.utf8))
    try group.together {
      let lanes = evenChunk(0, of: group.count, in: configuration.training.batchSize).count
      let needed = MemoryEstimate(configuration, vocabularySize: vocabularySize, lanes: lanes, isFirst: false)
      try MachineMemory.check(needed.bytes, ranksHere: hosts.count { $0 == hosts[group.rank] })
    }
  }

  private func seconds(_ trainer: Trainer) throws -> Double {
    let clock = ContinuousClock()
    let begin = clock.now
    _ = try trainer.step(notes: [])
    return (clock.now - begin) / .seconds(1)
  }

  /// Operations a second of all ranks at once, of some turns of each shape; those of all shapes meet the same clock, and the
  /// same neighbours on the machine.
  private func productRates() throws -> [[Double]] {
    let peak = try group.together { try MatrixPeak() }
    let turns = try (0..<4).map { _ in
      try MatrixPeak.shapes.indices.map { shape in
        _ = try group.allReduce([0])  // until all are there, to begin at once
        return try group.together { try peak.rate(shape: shape, seconds: 0.05) }
      }
    }
    return try MatrixPeak.shapes.indices.map { shape in try group.allReduce(turns.map { $0[shape] }) }
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  /// Forward and twice that backward; two operations, a product and a sum, for each weight.
  private static func operationsPerToken(_ model: ModelConfiguration, _ vocabularySize: Int) -> Double {
    let recurrent = model.hiddenSizes.indices.map {
      model.cell.gates * model.hiddenSizes[$0] * (model.inputSize(ofLayer: $0) + model.hiddenSizes[$0])
    }
    return 6 * Double(recurrent.reduce(0, +) + model.outputSize * vocabularySize)
  }

  /// So that products, and what was measured before, do not count as the training's. proc(5), clear_refs; where the system
  /// does not let it, they do.
  private func forgetPeakMemory() {
    let file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = write(file, "5", 1)
    close(file)
  }

  private func residentBytes() throws -> [Int] {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let own = Int64(usage.ru_maxrss) * 1024
    return try group.allGather(withUnsafeBytes(of: own) { Array($0) }).map { bytes in
      Int(bytes.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) })
    }
  }
}
