import Glibc
import TaskMetrics

/// A metric, and how it follows from tallies: sums over rows, texts and ranks.
public struct Measure: Sendable {
  public let metric: Metric
  public let value: @Sendable (_ tallies: [Double]) -> Double

  public init(_ metric: Metric, _ value: @escaping @Sendable (_ tallies: [Double]) -> Double) {
    self.metric = metric
    self.value = value
  }
}

extension [Measure] {
  public func values(of tallies: [Double]) -> [String: Double] {
    reduce(into: [:]) { $0[$1.metric.name] = $1.value(tallies) }
  }
}

/// What a task measures.
public struct Measures: Sendable {
  /// Of the sum of a step's training losses and the number of its targets.
  public let training: [Measure]
  /// Of an evaluator's tallies. The first decides which checkpoint is the best, when patience ends and what a plateau is.
  public let evaluation: [Measure]
  /// What else is told where somebody asks for an evaluation.
  public let details: [Measure]

  public init(training: [Measure], evaluation: [Measure], details: [Measure] = []) {
    precondition(!evaluation.isEmpty, "something decides what is best")
    self.training = training
    self.evaluation = evaluation
    self.details = details
  }

  /// Throws `TrainingError.diverged` where a tally of an evaluation makes a metric that is not finite.
  public func requireFinite(_ tallies: [Double], step: Int) throws {
    for measure in evaluation where !measure.value(tallies).isFinite {
      throw TrainingError.diverged(step: step, of: "the \(measure.metric.title)")
    }
  }

  /// Each once, those of evaluations first.
  public var metrics: [Metric] {
    let own = evaluation.map(\.metric)
    return own + training.map(\.metric).filter { metric in !own.contains { $0.name == metric.name } }
  }

  /// Each once, with those that are told where somebody asks.
  public var told: [Metric] { metrics + details.map(\.metric) }

  /// What decides.
  public var deciding: Metric { evaluation[0].metric }

  /// Tallies: the sum of -ln p over the tokens in nats, and their number.
  public static let ofLanguageModels: Measures = {
    let metrics = [Metric].ofLanguageModels
    let both = [
      Measure(metrics[0]) { $0[0] / $0[1] },
      Measure(metrics[1]) { exp($0[0] / $0[1]) },
    ]
    return Measures(
      training: both, evaluation: both,
      details: [
        Measure(Metric("bitsPerToken", better: .lower)) { $0[0] / $0[1] / M_LN2 },
        Measure(Metric("tokens", better: nil)) { $0[1] },
      ])
  }()
}

/// Measures a text on all ranks.
public protocol Evaluating: AnyObject {
  /// With the parameters as they are now: tallies, the same on every rank. `progress` is told parts done and in all; a
  /// `StopRequest` that it throws on one rank is thrown on all. `waiting` is called now and then where other ranks take longer.
  func tallies(progress: (Int, Int) throws -> Void, waiting: () -> Void) throws -> [Double]
}
