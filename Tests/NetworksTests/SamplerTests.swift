import Foundation
import Kernels
import Networks
import Testing

@Suite struct SamplerTests {
  private let logits: [Float] = [0, 1, 2, -3, 0.5]

  private func draws(
    _ settings: SamplingSettings, from logits: [Float]? = nil, count: Int, excluding: Int32? = nil
  ) throws -> [Int32] {
    let logits = logits ?? self.logits
    let sampler = try Sampler(settings, vocabularySize: logits.count)
    return try logits.withUnsafeBufferPointer { logits in
      try (0..<count).map { try sampler.draw(from: logits, position: $0, excluding: excluding) }
    }
  }

  @Test func theSameSeedDrawsTheSame() throws {
    #expect(
      try draws(SamplingSettings(temperature: 1, seed: 1), count: 50)
        == draws(SamplingSettings(temperature: 1, seed: 1), count: 50))
    #expect(
      try draws(SamplingSettings(temperature: 1, seed: 1), count: 50)
        != draws(SamplingSettings(temperature: 1, seed: 2), count: 50))
  }

  @Test func temperatureZeroTakesTheBest() throws {
    #expect(Set(try draws(SamplingSettings(temperature: 0, seed: 1), count: 10)) == [2])
    #expect(Set(try draws(SamplingSettings(temperature: 0, seed: 1), count: 10, excluding: 2)) == [1])
    #expect(Set(try draws(SamplingSettings(temperature: 1e-3, seed: 1), count: 10)) == [2])
  }

  @Test func frequenciesAreThoseOfTheSoftmax() throws {
    let count = 40_000
    let drawn = try draws(SamplingSettings(temperature: 1, seed: 9), count: count)
    let weights = logits.map { exp(Double($0)) }
    let total = weights.reduce(0, +)
    for token in logits.indices {
      let frequency = Double(drawn.count { $0 == Int32(token) }) / Double(count)
      #expect(abs(frequency - weights[token] / total) < 0.01)
    }
  }

  @Test func whatIsExcludedIsNeverDrawn() throws {
    #expect(try !draws(SamplingSettings(temperature: 5, seed: 3), count: 2000, excluding: 2).contains(2))
  }

  @Test func onlyTheMostProbableAreDrawn() throws {
    func tokens(topK: Int = 0, topP: Double = 1, minP: Double = 0) throws -> Set<Int32> {
      Set(try draws(SamplingSettings(temperature: 1, topK: topK, topP: topP, minP: minP, seed: 4), count: 3000))
    }
    #expect(try tokens(topK: 1) == [2])
    #expect(try tokens(topK: 3) == [1, 2, 4])
    #expect(try tokens(topK: 99) == [0, 1, 2, 3, 4])
    // Probabilities, by token: 0.08, 0.21, 0.57, 0.004, 0.13.
    #expect(try tokens(topP: 0.5) == [2])
    #expect(try tokens(topP: 0.6) == [1, 2])
    #expect(try tokens(topP: 0.9) == [1, 2, 4])
    #expect(try tokens(topK: 2, topP: 0.9) == [1, 2])
    // Relative to the most probable: 0.14, 0.37, 1, 0.007, 0.22.
    #expect(try tokens(minP: 1) == [2])
    #expect(try tokens(minP: 0.3) == [1, 2])
    #expect(try tokens(minP: 0.01) == [0, 1, 2, 4])
  }

  @Test func extremeTemperaturesAreTakenAsTheyAre() throws {
    let equals: [Float] = [1, 5, 5, -.infinity]
    func tokens(_ settings: SamplingSettings) throws -> Set<Int32> {
      Set(try draws(settings, from: equals, count: 100))
    }
    // So low that its inverse is infinite, and so high that all are alike; of equals the first is the best.
    #expect(try tokens(SamplingSettings(temperature: 1e-320, seed: 1)) == [1])
    #expect(try tokens(SamplingSettings(temperature: 0.001, seed: 1)) == [1, 2])
    #expect(try tokens(SamplingSettings(temperature: 1e300, seed: 1)).isSuperset(of: [0, 1, 2]))
    #expect(try tokens(SamplingSettings(temperature: 0, seed: 1)) == [1])
    #expect(try tokens(SamplingSettings(temperature: 1, topK: 1, seed: 1)) == [1])
  }

  /// Blocks of tokens are found before tokens: none may be drawn too seldom at their borders.
  @Test func largeVocabulariesAreDrawnFromEvenly() throws {
    let size = 1000
    let drawn = try draws(
      SamplingSettings(temperature: 1, seed: 2), from: [Float](repeating: 0.5, count: size), count: 200 * size)
    var counts = [Int](repeating: 0, count: size)
    for token in drawn { counts[Int(token)] += 1 }
    // 200 each, give or take a standard deviation of 14.
    #expect(counts.allSatisfy { abs($0 - 200) < 6 * 14 }, "\(counts.min() ?? 0) to \(counts.max() ?? 0)")
  }
}
