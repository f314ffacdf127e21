import Kernels

/// Told how far the way back has come, so that what is done can travel meanwhile.
public protocol LearningObserver: AnyObject {
  /// This part of the gradient will not change any more. Parts come from the end of the buffer to its beginning; the
  /// embedding's is never told.
  func gradientIsDone(_ range: Range<Int>) throws
  /// Called now and then.
  func isUnderWay() throws
}

/// A stacked recurrent language model over windows of a fixed shape: embedding, recurrent layers, softmax.
///
/// Sequences are time-major: the token of lane n at time t stands at t * lanes + n. Losses are sums over
/// tokens of -ln p in nats, and gradients are of that sum, so that parts of a batch can simply be added;
/// whoever updates divides.
public final class LanguageModel {
  public let configuration: ModelConfiguration
  public let vocabularySize: Int
  public let steps: Int
  public let lanes: Int
  public let parameters: Parameters
  private let times: StepTimes

  private let embedded: MatrixView  // [steps x lanes, E]
  private let layers: [Layer]
  private let embeddingDropout: Dropout?
  private let outputLayer: OutputLayer
  private let training: TrainingMemory?
  private let buffers: [FloatBuffer]  // owners of the views above

  /// Makes plans and memory for windows of `steps` x `lanes`. What learning takes is added to `times`. Throws
  /// `KernelError`.
  public init(
    _ configuration: ModelConfiguration, vocabularySize: Int, parameters: Parameters,
    steps: Int, lanes: Int, purpose: Purpose, times: StepTimes = StepTimes()
  ) throws {
    self.configuration = configuration
    self.vocabularySize = vocabularySize
    self.parameters = parameters
    self.steps = steps
    self.lanes = lanes
    self.times = times
    let rows = steps * lanes
    let dropout = purpose == .training ? configuration.dropout : 0
    func dropoutSite(_ site: Int, _ size: Int) throws -> Dropout? {
      guard dropout > 0 else { return nil }
      return try Dropout(probability: dropout, site: site, steps: steps, lanes: lanes, size: size)
    }

    let embeddedBuffer = try FloatBuffer(rows * configuration.embeddingSize)
    var buffers = [embeddedBuffer]
    embedded = embeddedBuffer.matrix(rows: rows, columns: configuration.embeddingSize)
    embeddingDropout = try dropoutSite(0, configuration.embeddingSize)
    layers = try configuration.hiddenSizes.indices.map { index in
      let size = configuration.hiddenSizes[index]
      let output = try FloatBuffer(rows * size)
      buffers.append(output)
      return Layer(
        plan: try RecurrentPlan(
          cell: configuration.cell, steps: steps, lanes: lanes,
          inputSize: configuration.inputSize(ofLayer: index), hiddenSize: size, purpose: purpose),
        output: output.matrix(rows: rows, columns: size),
        dropout: try dropoutSite(index + 1, size))
    }
    outputLayer = try OutputLayer(
      rows: rows, hiddenSize: configuration.outputSize, vocabularySize: vocabularySize)
    training = purpose == .training ? try TrainingMemory(configuration, rows: rows, lanes: lanes) : nil
    self.buffers = buffers
    try parametersChanged()
  }

  /// Floats that the output layer of windows of so many rows keeps: logits, and positions laid out.
  public static func outputFloats(rows: Double, hiddenSize: Double, vocabularySize: Int) -> Double {
    let positions = min(rows, Double(OutputLayer.blockRows(vocabularySize: vocabularySize)))
    let space = Double(SoftmaxLoss.rowStride(of: 1))
    return (positions + space) * (Double(vocabularySize) * 1.02 + hiddenSize)
  }

  /// Takes over the parameters as they are now. Call it after each update.
  public func parametersChanged() throws {
    for (index, layer) in layers.enumerated() {
      try layer.plan.pack(parameters.recurrentWeights(configuration.cell, layer: index))
    }
  }

  // MARK: - The path of a window

  /// Forward, loss and backward for one window; carries `state` on to the next.
  ///
  /// Adds each lane's loss (nats, summed over the window) to `losses` and the gradient of their sum to
  /// `gradients`; but where the gradients are `overwrites`, all but those of an embedding of its own may hold anything, and are
  /// written over. `dropout` may be nil only in a model without dropout.
  public func learn(
    inputs: UnsafeBufferPointer<Int32>, targets: UnsafeBufferPointer<Int32>, state: RecurrentState,
    dropout: DropoutKey?, losses: UnsafeMutableBufferPointer<Double>, gradients: Gradients, overwrites: Bool = false,
    observer: (any LearningObserver)? = nil
  ) throws {
    guard let training else { preconditionFailure("this model was made for inference") }
    let top = try forward(inputs, state: state, dropout: dropout)
    try times.measure(.output) {
      try outputLayer.learn(
        hidden: top, weights: outputWeights(parameters), targets: targets, losses: losses,
        hiddenGradient: training.gradient(columns: configuration.outputSize, slot: layers.count),
        gradients: outputWeights(gradients), overwrites: overwrites)
    }
    // Tied weights are the embedding's, whose gradient is not done yet.
    let layout = gradients.layout
    let first = layout.view(configuration.tiedWeights ? "output.bias" : "output.weight").offset
    try tell(observer, done: first..<layout.bufferCount)
    try backward(inputs, state: state, gradients: gradients, training, overwrites, observer)
    state.advance()
  }

  /// Forward and loss for one window, without learning; carries `state` on. A target of -1 counts nothing. Adds to
  /// `losses` as `learn` does; where there are as many as tokens in the window, each token has its own.
  public func evaluate(
    inputs: UnsafeBufferPointer<Int32>, targets: UnsafeBufferPointer<Int32>, state: RecurrentState,
    losses: UnsafeMutableBufferPointer<Double>
  ) throws {
    let top = try forward(inputs, state: state, dropout: nil)
    outputLayer.evaluate(
      hidden: top, weights: outputWeights(parameters), targets: targets, losses: losses)
    state.advance()
  }

  /// Forward for one window; writes the logits of every row of the window, [steps x lanes, vocabulary].
  public func logits(
    inputs: UnsafeBufferPointer<Int32>, state: RecurrentState, into logits: MatrixView
  ) throws {
    let top = try forward(inputs, state: state, dropout: nil)
    try outputLayer.logits(hidden: top, weights: outputWeights(parameters), into: logits)
    state.advance()
  }

  /// Gradients of the loss by the state each lane began the last window with. Layers as in `RecurrentState`.
  public func initialStateGradient(ofLayer index: Int) -> LayerState {
    guard let training else { preconditionFailure("this model was made for inference") }
    return training.stateGradient.layer(index)
  }

  // MARK: - Its parts

  /// From tokens to the top layer's output [steps x lanes, hidden], masked where there is dropout.
  private func forward(
    _ inputs: UnsafeBufferPointer<Int32>, state: RecurrentState, dropout: DropoutKey?
  ) throws -> MatrixView {
    precondition(inputs.count == steps * lanes && state.lanes == lanes)
    times.measure(.input) { embed(inputs) }
    var below = masked(embedded, embeddingDropout, dropout)
    for (index, layer) in layers.enumerated() {
      try times.measure(.recurrentForward) {
        try layer.plan.forward(
          input: below, before: state.layer(index), output: layer.output, after: state.layerAfter(index),
          bias: parameters.recurrentWeights(configuration.cell, layer: index).bias)
      }
      below = masked(layer.output, layer.dropout, dropout)
    }
    return below
  }

  /// From the top layer's gradient, which the output layer left in its slot, to every parameter's.
  private func backward(
    _ inputs: UnsafeBufferPointer<Int32>, state: RecurrentState, gradients: Gradients,
    _ training: TrainingMemory, _ overwrites: Bool, _ observer: (any LearningObserver)?
  ) throws {
    for index in layers.indices.reversed() {
      let layer = layers[index]
      let size = configuration.inputSize(ofLayer: index)
      let outputGradient = training.gradient(columns: layer.plan.hiddenSize, slot: index + 1)
      let inputGradient = training.gradient(columns: size, slot: index)
      times.measure(.input) { layer.dropout?.backward(outputGradient) }
      let (below, belowDropout) =
        index == 0 ? (embedded, embeddingDropout) : (layers[index - 1].output, layers[index - 1].dropout)
      try times.measure(.recurrentBackward) {
        try layer.plan.backward(
          input: belowDropout?.output.matrix(rows: below.rows, columns: below.columns) ?? below,
          before: state.layer(index), output: layer.output, after: state.layerAfter(index),
          bias: parameters.recurrentWeights(configuration.cell, layer: index).bias,
          outputGradient: outputGradient, afterGradient: training.zeroState.layer(index),
          inputGradient: inputGradient, beforeGradient: training.stateGradient.layer(index),
          weightGradients: gradients.recurrentWeights(configuration.cell, layer: index), overwrites: overwrites
        ) { try observer?.isUnderWay() }
      }
      try tell(observer, done: gradients.layout.range(ofLayer: index, configuration.cell))
    }
    let gradient = training.gradient(columns: configuration.embeddingSize, slot: 0)
    times.measure(.input) {
      embeddingDropout?.backward(gradient)
      addEmbeddingGradient(inputs, gradient, to: gradients.matrix("embedding"))
    }
  }

  private func tell(_ observer: (any LearningObserver)?, done range: Range<Int>) throws {
    guard let observer else { return }
    try times.measure(.exchange) { try observer.gradientIsDone(range) }
  }

  private func masked(_ values: MatrixView, _ dropout: Dropout?, _ key: DropoutKey?) -> MatrixView {
    guard let dropout else { return values }
    guard let key else { preconditionFailure("a model with dropout learns with a key for its masks") }
    times.measure(.input) { dropout.forward(values, key) }
    return dropout.output.matrix(rows: values.rows, columns: values.columns)
  }

  private func embed(_ tokens: UnsafeBufferPointer<Int32>) {
    let table = parameters.matrix("embedding")
    for (row, token) in tokens.enumerated() {
      precondition(token >= 0 && token < vocabularySize, "token \(token) in a vocabulary of \(vocabularySize)")
      embedded.row(row).update(from: table.pointer + Int(token) * table.columns, count: table.columns)
    }
  }

  private func addEmbeddingGradient(
    _ tokens: UnsafeBufferPointer<Int32>, _ gradient: MatrixView, to table: MatrixView
  ) {
    for (row, token) in tokens.enumerated() {
      let from = gradient.row(row)
      let to = table.row(Int(token))
      for column in 0..<table.columns { to[column] += from[column] }
    }
  }

  private func outputWeights(_ parameters: Parameters) -> OutputWeights {
    OutputWeights(
      weight: parameters.matrix(configuration.outputWeightName),
      bias: parameters.matrix("output.bias"))
  }

  private struct Layer {
    let plan: RecurrentPlan
    let output: MatrixView  // [steps x lanes, hidden], before dropout
    let dropout: Dropout?
  }

  /// What only learning needs. Gradients between layers alternate between two slots, the lower layer's
  /// beside the upper's.
  private final class TrainingMemory {
    let zeroState: RecurrentState
    let stateGradient: RecurrentState
    private let slots: [FloatBuffer]
    private let rows: Int

    init(_ configuration: ModelConfiguration, rows: Int, lanes: Int) throws {
      self.rows = rows
      zeroState = try RecurrentState(configuration, lanes: lanes)
      stateGradient = try RecurrentState(configuration, lanes: lanes)
      let widest = max(configuration.embeddingSize, configuration.hiddenSizes.max() ?? 0)
      slots = [try FloatBuffer(rows * widest), try FloatBuffer(rows * widest)]
    }

    func gradient(columns: Int, slot: Int) -> MatrixView {
      slots[slot % 2].matrix(rows: rows, columns: columns)
    }
  }
}
