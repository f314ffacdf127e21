import Glibc
import Kernels

/// How tokens are drawn.
public struct SamplingSettings: Codable, Equatable, Sendable {
  /// 1 draws from the model's distribution, less sharpens it, 0 takes the most probable token.
  public var temperature: Double
  /// Only the so many most probable tokens; 0: all.
  public var topK: Int
  /// Only the most probable tokens that together have this probability (Holtzman et al. 2020); 1: all.
  public var topP: Double
  /// The same seed and stream draw the same.
  public var seed: UInt64
  /// Tells apart texts that are drawn with one seed.
  public var stream: Int

  public init(temperature: Double, topK: Int = 0, topP: Double = 1, seed: UInt64, stream: Int = 0) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.seed = seed
    self.stream = stream
  }
}

/// Draws tokens from a distribution, the same ones for the same settings.
public struct Sampler: Sendable {
  public let settings: SamplingSettings
  private let random: CounterRandom

  /// Traps for a temperature or `topK` below 0 and a `topP` that is not in (0, 1].
  public init(_ settings: SamplingSettings) {
    precondition(settings.temperature >= 0, "a temperature is 0 or more")
    precondition(settings.topK >= 0 && settings.topP > 0 && settings.topP <= 1, "topK of 0 or more, topP in (0, 1]")
    self.settings = settings
    random = CounterRandom(seed: settings.seed, purpose: .sampling)
  }

  /// A token from `logits`, for the `position`-th draw. Never one that `excluded` names.
  public func draw(
    from logits: UnsafeBufferPointer<Float>, position: Int, excluding excluded: Int32? = nil
  ) -> Int32 {
    precondition(!logits.isEmpty)
    let excluded = excluded.map(Int.init)
    var best = -1
    for (token, logit) in logits.enumerated() where token != excluded {
      if best < 0 || logit > logits[best] { best = token }
    }
    if settings.temperature == 0 || best < 0 { return Int32(max(best, 0)) }

    let largest = Double(logits[best])
    func weight(_ token: Int) -> Double {
      token == excluded ? 0 : exp((Double(logits[token]) - largest) / settings.temperature)
    }
    let unit = random.unit(UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: settings.stream), 0)
    func pick(_ tokens: some Sequence<Int>, total: Double) -> Int32 {
      var rest = total * unit
      for token in tokens {
        rest -= weight(token)
        if rest < 0 { return Int32(token) }
      }
      return Int32(best)  // rounding left a crumb
    }
    let total = logits.indices.reduce(0) { $0 + weight($1) }
    guard settings.topK > 0 || settings.topP < 1 else { return pick(logits.indices, total: total) }

    // The most probable first; of equals, the first in the vocabulary.
    let ranked = logits.indices.filter { $0 != excluded }.sorted {
      logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1]
    }
    let most = settings.topK > 0 ? min(settings.topK, ranked.count) : ranked.count
    var kept: [Int] = []
    var keptWeight = 0.0
    for token in ranked.prefix(most) where kept.isEmpty || keptWeight < settings.topP * total {
      kept.append(token)
      keptWeight += weight(token)
    }
    return pick(kept, total: keptWeight)
  }
}
