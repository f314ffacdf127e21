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
  /// Only tokens at least so many times as probable as the most probable one (Nguyen et al. 2024); 0: all.
  public var minP: Double
  /// The same seed and stream draw the same.
  public var seed: UInt64
  /// Tells apart texts that are drawn with one seed.
  public var stream: Int

  public init(temperature: Double, topK: Int = 0, topP: Double = 1, minP: Double = 0, seed: UInt64, stream: Int = 0) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.seed = seed
    self.stream = stream
  }
}

/// Draws tokens from a distribution, the same ones for the same settings. For one thread.
public final class Sampler {
  public let settings: SamplingSettings
  private let random: CounterRandom
  private let softmax: Softmax
  /// [1, vocabulary]
  private let probabilities: MatrixView
  private let memory: FloatBuffer

  /// Below this temperature the most probable token is taken: nothing else would be drawn, and logits would overflow.
  private static let coldest = 1e-6
  /// Tokens whose probabilities are summed before one of them is looked for.
  private static let block = 64

  /// Traps for a temperature or `topK` below 0, a `topP` that is not in (0, 1] and a `minP` that is not in [0, 1]. Throws
  /// `KernelError`.
  public init(_ settings: SamplingSettings, vocabularySize: Int) throws {
    precondition(settings.temperature >= 0, "a temperature is 0 or more")
    precondition(settings.topK >= 0 && settings.topP > 0 && settings.topP <= 1, "topK of 0 or more, topP in (0, 1]")
    precondition(settings.minP >= 0 && settings.minP <= 1, "minP in [0, 1]")
    self.settings = settings
    random = CounterRandom(seed: settings.seed, purpose: .sampling)
    softmax = try Softmax(columns: vocabularySize)
    // Zeros up to whole blocks.
    memory = try FloatBuffer((vocabularySize + Self.block - 1) / Self.block * Self.block)
    probabilities = memory.matrix(rows: 1, columns: vocabularySize)
  }

  /// A token from `logits`, for the `position`-th draw. Never one that `excluded` names, unless there is no other.
  public func draw(
    from logits: UnsafeBufferPointer<Float>, position: Int, excluding excluded: Int32? = nil
  ) throws -> Int32 {
    precondition(logits.count == probabilities.count)
    if settings.temperature < Self.coldest { return Self.mostProbable(in: logits, excluding: excluded) }
    let scale = max(Float(1 / settings.temperature), .leastNormalMagnitude)  // 0 times infinity is no number
    for token in logits.indices { probabilities.pointer[token] = logits[token] * scale }
    try softmax.probabilities(probabilities)
    if let excluded { probabilities.pointer[Int(excluded)] = 0 }
    let unit = random.unit(UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: settings.stream), 0)
    guard settings.topK > 0 || settings.topP < 1 || settings.minP > 0 else { return pick(unit) }
    return pick(unit, among: keep())
  }

  /// The first of the most probable tokens.
  private static func mostProbable(in logits: UnsafeBufferPointer<Float>, excluding excluded: Int32?) -> Int32 {
    var best = excluded == 0 && logits.count > 1 ? 1 : 0
    for token in logits.indices where logits[token] > logits[best] && token != excluded.map(Int.init) { best = token }
    return Int32(best)
  }

  /// The tokens that `topK`, `topP` and `minP` leave, the most probable first; of equals, the first in the vocabulary.
  private func keep() -> [Int] {
    let values = probabilities.values
    let largest = values.max() ?? 0
    let least = Float(settings.minP) * largest
    // What is excluded is not to be counted.
    let wanted = settings.topP * values.reduce(0) { $0 + Double($1) }
    let most = settings.topK > 0 ? settings.topK : values.count
    // Only as many are sorted as may be kept: those above a bound, which falls until they are enough.
    var candidates: [Int] = []
    var bound = largest
    repeat {
      bound = max(bound / 8, least, .leastNormalMagnitude)
      candidates = values.indices.filter { values[$0] >= bound }
    } while bound > max(least, .leastNormalMagnitude) && candidates.count < most
      && candidates.reduce(0, { $0 + Double(values[$1]) }) < wanted
    let ranked = candidates.sorted { values[$0] == values[$1] ? $0 < $1 : values[$0] > values[$1] }
    var kept: [Int] = []
    var sum = 0.0
    for token in ranked.prefix(most) where kept.isEmpty || sum < wanted {
      kept.append(token)
      sum += Double(values[token])
    }
    return kept
  }

  private func pick(_ unit: Double, among tokens: [Int]) -> Int32 {
    var rest = unit * tokens.reduce(0) { $0 + Double(probabilities.pointer[$1]) }
    for token in tokens {
      rest -= Double(probabilities.pointer[token])
      if rest < 0 { return Int32(token) }
    }
    return Int32(tokens.first ?? 0)  // rounding left a crumb
  }

  /// Of all tokens: first the block that a place in the sum falls into, then the token.
  private func pick(_ unit: Double) -> Int32 {
    let sums = stride(from: 0, to: memory.count, by: Self.block).map { start in
      let values = UnsafeRawPointer(memory.pointer + start)
      return Double(
        stride(from: 0, to: Self.block, by: 16).reduce(SIMD16<Float>()) {
          $0 + values.load(fromByteOffset: 4 * $1, as: SIMD16<Float>.self)
        }.sum())
    }
    var rest = unit * sums.reduce(0, +)
    var number = 0
    while number < sums.count - 1, rest >= sums[number] {
      rest -= sums[number]
      number += 1
    }
    let tokens = number * Self.block..<min((number + 1) * Self.block, probabilities.count)
    for token in tokens {
      rest -= Double(probabilities.pointer[token])
      if rest < 0 { return Int32(token) }
    }
    // Rounding left a crumb: the last that may be drawn.
    return Int32(tokens.last { probabilities.pointer[$0] > 0 } ?? tokens.lowerBound)
  }
}
