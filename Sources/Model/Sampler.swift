import Glibc
import Kernels

/// Draws tokens from a distribution, the same ones for the same seed.
public struct Sampler: Sendable {
  /// 1 draws from the model's distribution, less sharpens it, 0 takes the most probable token.
  public let temperature: Double
  private let random: CounterRandom

  public init(temperature: Double, seed: UInt64) {
    precondition(temperature >= 0, "a temperature is 0 or more")
    self.temperature = temperature
    random = CounterRandom(seed: seed, purpose: .sampling)
  }

  /// A token from `logits`, for the `position`-th draw of stream `stream`. Never one that `excluded` names.
  public func draw(
    from logits: UnsafeBufferPointer<Float>, position: Int, stream: Int = 0, excluding excluded: Int32? = nil
  ) -> Int32 {
    precondition(!logits.isEmpty)
    var best = -1
    for (token, logit) in logits.enumerated() where token != excluded.map(Int.init) {
      if best < 0 || logit > logits[best] { best = token }
    }
    if temperature == 0 { return Int32(best) }

    let largest = Double(logits[best])
    func weight(_ token: Int) -> Double {
      token == excluded.map(Int.init) ? 0 : exp((Double(logits[token]) - largest) / temperature)
    }
    let total = logits.indices.reduce(0) { $0 + weight($1) }
    var rest = total * random.unit(UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: stream), 0)
    for token in logits.indices {
      rest -= weight(token)
      if rest < 0 { return Int32(token) }
    }
    return Int32(best)  // rounding left a crumb
  }
}
