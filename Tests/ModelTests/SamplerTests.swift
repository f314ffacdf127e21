import Foundation
import Kernels
import Model
import Testing

@Suite struct SamplerTests {
  private let logits: [Float] = [0, 1, 2, -3, 0.5]

  private func draws(_ sampler: Sampler, count: Int, excluding: Int32? = nil) -> [Int32] {
    logits.withUnsafeBufferPointer { logits in
      (0..<count).map { sampler.draw(from: logits, position: $0, excluding: excluding) }
    }
  }

  @Test func theSameSeedDrawsTheSame() {
    #expect(
      draws(Sampler(SamplingSettings(temperature: 1, seed: 1)), count: 50)
        == draws(Sampler(SamplingSettings(temperature: 1, seed: 1)), count: 50))
    #expect(
      draws(Sampler(SamplingSettings(temperature: 1, seed: 1)), count: 50)
        != draws(Sampler(SamplingSettings(temperature: 1, seed: 2)), count: 50))
  }

  @Test func temperatureZeroTakesTheBest() {
    #expect(Set(draws(Sampler(SamplingSettings(temperature: 0, seed: 1)), count: 10)) == [2])
    #expect(Set(draws(Sampler(SamplingSettings(temperature: 0, seed: 1)), count: 10, excluding: 2)) == [1])
    #expect(Set(draws(Sampler(SamplingSettings(temperature: 1e-3, seed: 1)), count: 10)) == [2])
  }

  @Test func frequenciesAreThoseOfTheSoftmax() {
    let count = 40_000
    let drawn = draws(Sampler(SamplingSettings(temperature: 1, seed: 9)), count: count)
    let weights = logits.map { exp(Double($0)) }
    let total = weights.reduce(0, +)
    for token in logits.indices {
      let frequency = Double(drawn.count { $0 == Int32(token) }) / Double(count)
      #expect(abs(frequency - weights[token] / total) < 0.01)
    }
  }

  @Test func whatIsExcludedIsNeverDrawn() {
    #expect(!draws(Sampler(SamplingSettings(temperature: 5, seed: 3)), count: 2000, excluding: 2).contains(2))
  }

  @Test func onlyTheMostProbableAreDrawn() {
    func tokens(topK: Int = 0, topP: Double = 1) -> Set<Int32> {
      Set(draws(Sampler(SamplingSettings(temperature: 1, topK: topK, topP: topP, seed: 4)), count: 3000))
    }
    #expect(tokens(topK: 1) == [2])
    #expect(tokens(topK: 3) == [1, 2, 4])
    #expect(tokens(topK: 99) == [0, 1, 2, 3, 4])
    // Probabilities, by token: 0.08, 0.21, 0.57, 0.004, 0.13.
    #expect(tokens(topP: 0.5) == [2])
    #expect(tokens(topP: 0.6) == [1, 2])
    #expect(tokens(topP: 0.9) == [1, 2, 4])
    #expect(tokens(topK: 2, topP: 0.9) == [1, 2])
  }
}
