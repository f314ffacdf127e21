import Kernels
import Networks

/// Whatever gives the distribution of the next token after those before. For one thread.
public protocol Predictor: AnyObject {
  /// What it remembers of a text.
  associatedtype Context

  var vocabularySize: Int { get }

  /// Of a text that has not begun.
  func makeContext() throws -> Context
  /// One that goes its own way: for beams, and for tokens that are tried.
  func copy(of context: Context) throws -> Context
  /// Appends a token of the vocabulary to the text.
  func advance(_ context: Context, by token: Int32) throws
  /// Of each token of the vocabulary ln p but for a number that all share. Valid until asked for again.
  func logits(after context: Context) throws -> UnsafeBufferPointer<Float>
  /// -ln p of every token but the first of each text, as many at once as is fastest; none of fewer than two.
  func losses(of texts: [[Int32]]) throws -> [[Double]]
}

/// A network as a predictor.
public final class NetworkPredictor: Predictor {
  public let vocabularySize: Int
  private let plan: NetworkPlan
  private let parameters: Parameters
  private let decoder: IncrementalDecoder
  private var readers: [NetworkShape: BatchReader] = [:]

  /// It uses the parameters as they are when it is asked; those that `losses` has once used must not change. Throws
  /// `KernelError`.
  public init(_ model: ModelConfiguration, vocabularySize: Int, parameters: Parameters) throws {
    plan = NetworkPlan(model, vocabularySize: vocabularySize)
    self.vocabularySize = vocabularySize
    self.parameters = parameters
    decoder = try IncrementalDecoder(plan, parameters: parameters)
  }

  public func makeContext() throws -> IncrementalDecoder.Context { try decoder.makeContext() }

  public func copy(of context: IncrementalDecoder.Context) throws -> IncrementalDecoder.Context {
    try decoder.copy(of: context)
  }

  public func advance(_ context: IncrementalDecoder.Context, by token: Int32) throws {
    try decoder.read(token, after: context)
  }

  public func logits(after context: IncrementalDecoder.Context) throws -> UnsafeBufferPointer<Float> {
    try decoder.logits(after: context)
  }

  /// Texts are read side by side, the longest first, so that weights are read once for many; one that has ended takes no
  /// more time.
  public func losses(of texts: [[Int32]]) throws -> [[Double]] {
    var all = texts.map { _ in [Double]() }
    let order = texts.indices.filter { texts[$0].count > 1 }.sorted {
      texts[$0].count == texts[$1].count ? $0 < $1 : texts[$0].count > texts[$1].count
    }
    for first in stride(from: 0, to: order.count, by: BatchReader.mostRows) {
      let rows = order[first..<min(first + BatchReader.mostRows, order.count)]
      let shape = BatchReader.shape(rows: rows.count, steps: texts[order[first]].count - 1)
      let reader = try readers[shape] ?? BatchReader(plan, parameters, shape)
      readers[shape] = reader
      for (text, losses) in zip(rows, try reader.losses(of: rows.map { texts[$0] })) { all[text] = losses }
    }
    return all
  }
}

/// Reads some texts at once, from zero states.
private final class BatchReader {
  private let network: Network
  private let states: RowStates

  static let mostRows = 64
  /// Sizes of windows: few rows and steps waste little on few and short texts.
  private static let rows = [mostRows, 8, 1]
  private static let steps = [32, 8]

  static func shape(rows: Int, steps: Int) -> NetworkShape {
    NetworkShape(
      steps: Self.steps.last { $0 >= steps } ?? Self.steps[0], lanes: Self.rows.last { $0 >= rows } ?? rows,
      purpose: .inference, rowsEnd: true)
  }

  init(_ plan: NetworkPlan, _ parameters: Parameters, _ shape: NetworkShape) throws {
    network = try Network(plan, parameters: parameters, shape)
    states = try RowStates(plan.states, lanes: shape.lanes)
  }

  /// Of texts of two tokens at least, the longest first.
  func losses(of texts: [[Int32]]) throws -> [[Double]] {
    let predictions = texts.map { $0.count - 1 }
    var all = predictions.map { _ in [Double]() }
    states.clear()
    for start in stride(from: 0, to: predictions[0], by: network.shape.steps) {
      let end = min(start + network.shape.steps, predictions[0])
      let active = ActiveRows(counts: (start..<end).map { place in predictions.prefix { $0 > place }.count })
      let losses = try losses(of: texts, from: start, active)
      for step in 0..<active.steps {
        for (row, place) in active.rows(of: step).enumerated() { all[row].append(losses[place]) }
      }
    }
    return all
  }

  /// Of one window, place by place.
  private func losses(of texts: [[Int32]], from start: Int, _ active: ActiveRows) throws -> [Double] {
    func tokens(_ first: Int) -> [Int32] {
      active.counts.enumerated().flatMap { step, count in (0..<count).map { texts[$0][first + step] } }
    }
    var losses = [Double](repeating: 0, count: active.total)
    try tokens(start).withUnsafeBufferPointer { inputs in
      try tokens(start + 1).withUnsafeBufferPointer { targets in
        try losses.withUnsafeMutableBufferPointer {
          try network.evaluate(inputs: inputs, targets: targets, states: states, losses: $0, active: active)
        }
      }
    }
    return losses
  }
}
