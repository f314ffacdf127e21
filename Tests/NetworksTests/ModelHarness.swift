import Kernels
import Networks

/// Runs the real model on a small problem and hands back everything in double precision.
struct ModelHarness {
  let configuration: ModelConfiguration
  let vocabularySize: Int
  let steps: Int
  let lanes: Int
  let layout: ParameterLayout
  let parameters: Parameters

  init(_ configuration: ModelConfiguration, vocabularySize: Int, steps: Int, lanes: Int) throws {
    self.configuration = configuration
    self.vocabularySize = vocabularySize
    self.steps = steps
    self.lanes = lanes
    layout = ParameterLayout(configuration, vocabularySize: vocabularySize)
    parameters = try Parameters(layout)
  }

  func setParameters(_ values: [String: [Double]]) {
    for view in layout.tensors {
      for (index, value) in (values[view.name] ?? []).enumerated() {
        parameters.buffer[view.offset + index] = Float(value)
      }
    }
  }

  func solve(_ problem: ReferenceModel.Problem) throws -> ReferenceModel.Solution {
    setParameters(problem.parameters)
    let state = try initialState(problem)
    let inputs = problem.inputs.map(Int32.init)
    let targets = problem.targets.map(Int32.init)
    let gradients = try Gradients(layout)
    var losses = [Double](repeating: 0, count: lanes)
    let plan = NetworkPlan(configuration, vocabularySize: vocabularySize)
    let network = try Network(
      plan, parameters: parameters, NetworkShape(steps: steps, lanes: lanes, purpose: .training))
    try inputs.withUnsafeBufferPointer { inputs in
      try targets.withUnsafeBufferPointer { targets in
        try losses.withUnsafeMutableBufferPointer {
          try network.learn(
            inputs: inputs, targets: targets, states: state, dropout: nil, losses: $0, sink: GradientSink(gradients))
        }
      }
    }

    let evaluator = try Network(
      plan, parameters: parameters, NetworkShape(steps: steps, lanes: lanes, purpose: .inference))
    let logits = try FloatBuffer(steps * lanes * vocabularySize)
    let evaluationState = try initialState(problem)
    try inputs.withUnsafeBufferPointer {
      try evaluator.logits(
        inputs: $0, states: evaluationState,
        into: logits.matrix(rows: steps * lanes, columns: vocabularySize))
    }
    let recurrent = initialGradients(network)
    return ReferenceModel.Solution(
      loss: losses.reduce(0, +), laneLosses: losses, logits: logits.values.map(Double.init),
      finalHidden: hiddenNames.compactMap { state[$0]?.values.map(Double.init) },
      gradients: Dictionary(
        uniqueKeysWithValues: layout.tensors.map { view in
          (view.name, gradients.buffer.values[view.range].map(Double.init))
        }),
      initialHiddenGradient: recurrent.hidden,
      initialCellGradient: recurrent.cell)
  }

  private var hiddenNames: [String] {
    configuration.kind == .recurrent
      ? configuration.hiddenSizes.indices.map { "\(configuration.cell.family).\($0).hidden" } : []
  }

  private func initialGradients(_ network: Network) -> (hidden: [[Double]], cell: [[Double]]) {
    let gradients = network.initialStateGradients
    return (
      gradients.map { $0.hidden.values.map(Double.init) },
      gradients.compactMap { $0.cell?.values.map(Double.init) }
    )
  }

  private func initialState(_ problem: ReferenceModel.Problem) throws -> RowStates {
    let states = try RowStates(configuration, lanes: lanes)
    for (layer, name) in hiddenNames.enumerated() {
      fill(states[name], problem.initialHidden[layer])
      if let cell = states["\(configuration.cell.family).\(layer).cell"] { fill(cell, problem.initialCell[layer]) }
    }
    if let context = states["context"] { fill(context, problem.context.map { Double($0 + 1) }) }
    return states
  }

  private func fill(_ state: MatrixView?, _ values: [Double]) {
    for (index, value) in values.enumerated() { state?.pointer[index] = Float(value) }
  }
}

/// |a - b| / |b| in Euclidean norm; infinite when the counts differ.
func relativeDifference(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  let difference = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  let size = b.reduce(0) { $0 + $1 * $1 }.squareRoot()
  return size == 0 ? difference : difference / size
}

/// Small random problems, the same for the same seed.
func makeProblem(
  _ configuration: ModelConfiguration, vocabularySize: Int, steps: Int, lanes: Int, seed: UInt64
) -> ReferenceModel.Problem {
  let random = CounterRandom(seed: seed, purpose: .benchmark)
  var drawn: UInt32 = 0
  /// Rounded to single precision, so that both models see the same number.
  func number(_ range: Double) -> Double {
    drawn += 1
    return Double(Float((random.unit(drawn, 0, 0) * 2 - 1) * range))
  }
  func token() -> Int {
    drawn += 1
    return Int(random.unit(drawn, 1, 0) * Double(vocabularySize))
  }
  func states(_ isGiven: Bool) -> [[Double]] {
    guard isGiven, configuration.kind == .recurrent else { return [] }
    return configuration.hiddenSizes.map { size in (0..<lanes * size).map { _ in number(0.8) } }
  }
  let layout = ParameterLayout(configuration, vocabularySize: vocabularySize)
  let contextSize = configuration.kind == .window ? lanes * (configuration.window - 1) : 0
  return ReferenceModel.Problem(
    inputs: (0..<steps * lanes).map { _ in token() }, targets: (0..<steps * lanes).map { _ in token() },
    parameters: Dictionary(
      uniqueKeysWithValues: layout.tensors.map { view in (view.name, (0..<view.count).map { _ in number(0.7) }) }),
    initialHidden: states(true), initialCell: states(configuration.cell.hasCellState),
    // Some of it before the beginning of a text.
    context: (0..<contextSize).map { $0 % 5 == 0 ? -1 : token() })
}
