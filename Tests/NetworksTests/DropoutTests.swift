import Kernels
import Networks
import Testing

@Suite struct DropoutTests {
  private let vocabularySize = 9
  private let steps = 4

  /// Losses and gradients of some lanes of a batch of four, on models with fewer lanes.
  private func learn(lanes: [Range<Int>], dropout: Double = 0.5, window: Int = 3) throws -> (
    losses: [Double], gradients: [Double]
  ) {
    let configuration = ModelConfiguration(embeddingSize: 6, hiddenSizes: [8, 5], dropout: dropout)
    let layout = ParameterLayout(configuration, vocabularySize: vocabularySize)
    let parameters = try Parameters(layout)
    parameters.initialize(seed: 4)
    let gradients = try Gradients(layout)
    var all: [Double] = []
    for block in lanes {
      let model = try Network(
        NetworkPlan(configuration, vocabularySize: vocabularySize), parameters: parameters,
        NetworkShape(steps: steps, lanes: block.count, purpose: .training))
      let state = try RowStates(configuration, lanes: block.count)
      // Token of a place is the same whichever model reads it.
      let tokens = (0..<steps).flatMap { step in block.map { Int32((step * 7 + $0 * 3) % vocabularySize) } }
      var losses = [Double](repeating: 0, count: block.count)
      try tokens.withUnsafeBufferPointer { tokens in
        try losses.withUnsafeMutableBufferPointer {
          try model.learn(
            inputs: tokens, targets: tokens, states: state,
            dropout: DropoutKey(seed: 5, window: window, firstLane: block.lowerBound), losses: $0,
            sink: GradientSink(gradients))
        }
      }
      all += losses
    }
    return (all, gradients.buffer.values.map(Double.init))
  }

  @Test func masksDoNotDependOnWhoOwnsALane() throws {
    let together = try learn(lanes: [0..<4])
    let dealt = try learn(lanes: [0..<1, 1..<4])
    #expect(relativeDifference(dealt.losses, together.losses) < 1e-5)
    #expect(relativeDifference(dealt.gradients, together.gradients) < 1e-5)
  }

  @Test func masksDifferFromWindowToWindow() throws {
    let first = try learn(lanes: [0..<4], window: 0)
    #expect(first.losses == (try learn(lanes: [0..<4], window: 0)).losses)
    #expect(first.losses != (try learn(lanes: [0..<4], window: 1)).losses)
  }

  /// The gradient under a fixed mask is the slope of the loss under that mask.
  @Test func gradientIsThatOfTheMaskedModel() throws {
    let configuration = ModelConfiguration(embeddingSize: 5, hiddenSizes: [6], dropout: 0.4)
    let layout = ParameterLayout(configuration, vocabularySize: vocabularySize)
    let parameters = try Parameters(layout)
    parameters.initialize(seed: 2)
    let gradients = try Gradients(layout)
    let tokens = (0..<steps * 2).map { Int32($0 * 5 % vocabularySize) }
    let model = try Network(
      NetworkPlan(configuration, vocabularySize: vocabularySize), parameters: parameters,
      NetworkShape(steps: steps, lanes: 2, purpose: .training))
    func loss(into gradients: Gradients) throws -> Double {
      try model.parametersChanged()
      var losses = [0.0, 0.0]
      let state = try RowStates(configuration, lanes: 2)
      try tokens.withUnsafeBufferPointer { tokens in
        try losses.withUnsafeMutableBufferPointer {
          try model.learn(
            inputs: tokens, targets: tokens, states: state,
            dropout: DropoutKey(seed: 1, window: 0, firstLane: 0), losses: $0, sink: GradientSink(gradients))
        }
      }
      return losses.reduce(0, +)
    }
    _ = try loss(into: gradients)
    let scrap = try Gradients(layout)
    var (numerical, exact): ([Double], [Double]) = ([], [])
    for view in layout.tensors {
      for index in stride(from: view.offset, to: view.offset + view.count, by: 5) {
        let value = parameters.buffer[index]
        let step: Float = 1e-2
        parameters.buffer[index] = value + step
        let up = try loss(into: scrap)
        parameters.buffer[index] = value - step
        let down = try loss(into: scrap)
        parameters.buffer[index] = value
        numerical.append((up - down) / Double(2 * step))
        exact.append(Double(gradients.buffer[index]))
      }
    }
    // Single precision and a wide step: enough to tell a wrong mask from a right one.
    #expect(relativeDifference(numerical, exact) < 5e-3)
  }

  @Test func aboutAsManyAreDroppedAsAsked() throws {
    let random = CounterRandom(seed: 1, purpose: .dropout)
    let dropped = (0..<10_000).reduce(0) { count, index in
      let drawn = random.uniform(UInt32(index), 0, 0)
      return count + (0..<4).count { drawn[$0] < 0.3 }
    }
    #expect(abs(Double(dropped) / 40_000 - 0.3) < 0.01)
  }
}
