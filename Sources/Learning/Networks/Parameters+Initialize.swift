import Glibc
import Kernels

extension Parameters {
  /// Fills in first values. They depend on the seed and on each number's place alone, so every rank that
  /// does this holds the same bits.
  public func initialize(seed: UInt64) {
    let random = CounterRandom(seed: seed, purpose: .initialization)
    buffer.clear()
    for (index, tensor) in layout.tensors.enumerated() {
      let values = UnsafeMutableBufferPointer(rebasing: buffer.values[tensor.range])
      switch tensor.initial {
      case .zero: break
      case .uniform(let range): random.fillUniform(values, range: range, tensor: index)
      case .normal(let deviation): random.fillNormal(values, deviation: deviation, tensor: index)
      case .constant(let value, let range): values[range].update(repeating: value)
      }
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
