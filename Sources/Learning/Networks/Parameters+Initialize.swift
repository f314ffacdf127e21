import Glibc
import Kernels

extension Parameters {
  /// Fills in first values. They depend on the seed and on each number's place alone, so every rank that
  /// does this holds the same bits.
  public func initialize(_ model: ModelConfiguration, seed: UInt64) {
    let random = CounterRandom(seed: seed, purpose: .initialization)
    buffer.clear()
    for (index, view) in layout.views.enumerated() {
      let values = UnsafeMutableBufferPointer(rebasing: buffer.values[view.range])
      switch model.initialization.kind {
      case .uniform:
        random.fillUniform(values, range: Float(model.initialization.range), tensor: index)
      case .standard:
        standard(view, index, values, model, random)
      }
    }
  }

  private func standard(
    _ view: TensorSpec, _ index: Int, _ values: UnsafeMutableBufferPointer<Float>,
    _ model: ModelConfiguration, _ random: CounterRandom
  ) {
    if view.name == "embedding" {
      let deviation = model.tiedWeights ? 1 / Float(model.embeddingSize).squareRoot() : 1
      random.fillNormal(values, deviation: deviation, tensor: index)
    } else if view.name.hasSuffix(".bias") {
      values.update(repeating: 0)
      if model.cell == .lstm, view.name != "output.bias" {
        let hidden = view.count / model.cell.gates
        values[hidden..<2 * hidden].update(repeating: Float(model.initialization.forgetBias))
      }
    } else {
      // Columns of a recurrent weight are gates x hidden; the output layer reads its last layer's units.
      let hidden = view.name == "output.weight" ? view.shape[1] : view.shape[1] / model.cell.gates
      random.fillUniform(values, range: 1 / Float(hidden).squareRoot(), tensor: index)
    }
  }
}

extension CounterRandom {
  fileprivate func fillUniform(_ values: UnsafeMutableBufferPointer<Float>, range: Float, tensor: Int) {
    for first in stride(from: 0, to: values.count, by: 4) {
      let drawn = uniform(UInt32(first / 4), UInt32(tensor), 0)
      for index in 0..<min(4, values.count - first) { values[first + index] = (drawn[index] * 2 - 1) * range }
    }
  }

  /// Box and Muller's transform, two numbers from two.
  fileprivate func fillNormal(_ values: UnsafeMutableBufferPointer<Float>, deviation: Float, tensor: Int) {
    for first in stride(from: 0, to: values.count, by: 4) {
      let drawn = uniform(UInt32(first / 4), UInt32(tensor), 0)
      for index in 0..<min(4, values.count - first) {
        let radius = (-2 * log(1 - drawn[index & ~1])).squareRoot()
        let angle = 2 * Float.pi * drawn[index | 1]
        values[first + index] = deviation * radius * (index & 1 == 0 ? cos(angle) : sin(angle))
      }
    }
  }
}
