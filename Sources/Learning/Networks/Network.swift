import Kernels

/// A language model over windows of a fixed shape, made of parts: an input, blocks and a head (`NetworkPlan`).
///
/// Sequences are time-major: the token of lane n at time t stands at t * lanes + n, or where rows end within a window as
/// `ActiveRows` says. Losses are sums over tokens of -ln p in nats, and gradients are of that sum, so that parts of a batch
/// can simply be added; whoever updates divides.
public final class Network {
  public let plan: NetworkPlan
  public let shape: NetworkShape
  private let whole: ActiveRows
  private let times: StepTimes

  private let input: any InputBlock
  private let blocks: [any Block]
  private let head: any Head
  /// What only learning needs.
  private let slots: GradientSlots?
  private let topSize: Int
  /// Losses of positions, where rows end at different times.
  private var positionLosses: [Double] = []

  /// Makes plans and memory. What learning takes is added to `times`. Throws `KernelError`.
  public init(
    _ plan: NetworkPlan, parameters: Parameters, _ shape: NetworkShape, times: StepTimes = StepTimes()
  ) throws {
    self.plan = plan
    self.shape = shape
    self.times = times
    whole = ActiveRows(steps: shape.steps, lanes: shape.lanes)
    input = try plan.input.makeBlock(parameters, shape)
    blocks = try plan.parts.compactMap { try $0.makeBlock(parameters, shape) }
    head = try plan.head.makeHead(parameters, rows: shape.rows)
    topSize = plan.head.hiddenSize
    slots = shape.purpose == .training ? try GradientSlots(floats: shape.rows * plan.widest) : nil
    try parametersChanged()
  }

  /// Takes over the parameters as they are now. Call it after each update.
  public func parametersChanged() throws { for block in blocks { try block.weightsChanged() } }

  /// Forward, loss and backward for one window; carries `states` on to the next.
  ///
  /// Adds each lane's loss (nats, summed over the window) to `losses`, or each token's where there are as many, and leaves
  /// the gradient of their sum in `sink`. `dropout` may be nil only in a network without dropout.
  public func learn(
    inputs: UnsafeBufferPointer<Int32>, targets: UnsafeBufferPointer<Int32>, states: RowStates, dropout: DropoutKey?,
    losses: UnsafeMutableBufferPointer<Double>, sink: GradientSink, active: ActiveRows? = nil
  ) throws {
    guard let slots else { preconditionFailure("this network was made for inference") }
    let pass = makePass(inputs, states, dropout, active)
    let top = try forward(pass)
    var gradient = slots.first(rows: top.rows, columns: topSize)
    try times.measure(.output) {
      try byRows(pass, losses) { try head.learn(top, targets: targets, losses: $0, dh: gradient, sink) }
    }
    try sink.ready(plan.head.isShared ? [plan.head.bias] : [plan.head.weight, plan.head.bias])
    for block in blocks.reversed() { gradient = try block.backward(gradient, pass, slots, sink) }
    try times.measure(.input) { try input.backward(gradient, pass, sink) }
    states.advance()
  }

  /// Forward and loss for one window, without learning; carries `states` on. A target of -1 counts nothing. Adds to
  /// `losses` as `learn` does.
  public func evaluate(
    inputs: UnsafeBufferPointer<Int32>, targets: UnsafeBufferPointer<Int32>, states: RowStates,
    losses: UnsafeMutableBufferPointer<Double>, active: ActiveRows? = nil
  ) throws {
    let pass = makePass(inputs, states, nil, active)
    let top = try forward(pass)
    try byRows(pass, losses) { try head.evaluate(top, targets: targets, losses: $0) }
    states.advance()
  }

  /// Forward for one window; writes the logits of every row of the window, [rows, vocabulary].
  public func logits(inputs: UnsafeBufferPointer<Int32>, states: RowStates, into logits: MatrixView) throws {
    let top = try forward(makePass(inputs, states, nil, nil))
    try head.logits(top, into: logits)
    states.advance()
  }

  /// Gradients of the loss by the state that each row began the last window with, of the recurrent layers from the bottom.
  public var initialStateGradients: [LayerState] {
    blocks.compactMap { ($0 as? RecurrentBlock)?.initialStateGradient }
  }

  /// A head counts positions round and round the rows. Where those do not live equally long, their losses are added up
  /// here.
  private func byRows(
    _ pass: Pass, _ losses: UnsafeMutableBufferPointer<Double>,
    _ body: (UnsafeMutableBufferPointer<Double>) throws -> Void
  ) throws {
    guard pass.rowsEnd, losses.count != pass.active.total else { return try body(losses) }
    positionLosses = Array(repeating: 0, count: pass.active.total)
    try positionLosses.withUnsafeMutableBufferPointer { try body($0) }
    for step in 0..<pass.active.steps {
      for (row, position) in pass.active.rows(of: step).enumerated() {
        losses[row % losses.count] += positionLosses[position]
      }
    }
  }

  private func makePass(
    _ inputs: UnsafeBufferPointer<Int32>, _ states: RowStates, _ dropout: DropoutKey?, _ active: ActiveRows?
  ) -> Pass {
    let rows = active ?? whole
    precondition(
      inputs.count == rows.total && rows.total <= shape.rows && states.lanes == shape.lanes
        && (active == nil || shape.rowsEnd), "a window of another shape")
    return Pass(
      inputs: inputs, active: rows, rowsEnd: active != nil, states: states, dropout: dropout, times: times)
  }

  private func forward(_ pass: Pass) throws -> MatrixView {
    let read = times.measure(.input) { input.forward(pass) }
    return try blocks.reduce(read) { try $1.forward($0, pass) }
  }
}
