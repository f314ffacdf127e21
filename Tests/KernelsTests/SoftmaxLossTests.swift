import Foundation
import Testing

@testable import Kernels

@Suite struct SoftmaxLossTests {
  private let random = CounterRandom(seed: 7, purpose: .benchmark)

  /// Logits [vocabulary, positions] with space, their biases, and what the loss makes of them.
  private struct Case {
    let (vocabulary, positions): (Int, Int)
    let stride: Int
    let logits: FloatBuffer
    let bias: FloatBuffer
    let loss: SoftmaxLoss

    init(_ vocabulary: Int, _ positions: Int, logit: (_ token: Int, _ position: Int) -> Float) throws {
      (self.vocabulary, self.positions) = (vocabulary, positions)
      stride = SoftmaxLoss.rowStride(of: positions)
      logits = try FloatBuffer(vocabulary * stride)
      bias = try FloatBuffer((0..<vocabulary).map { Float($0 % 5) * 0.1 })
      loss = try SoftmaxLoss(vocabularySize: vocabulary, positions: positions)
      for token in 0..<vocabulary {
        for position in 0..<positions { logits[token * stride + position] = logit(token, position) }
      }
    }

    func part(_ part: Int) -> StridedMatrix {
      StridedMatrix(pointer: logits.pointer, rows: vocabulary, columns: positions, stride: stride)
        .rows(loss.parts[part])
    }

    /// Losses of each lane, onto 1 each; logits become gradients if `learning`, and the bias's is returned.
    func run(_ targets: [Int32], lanes: Int, learning: Bool) throws -> (losses: [Double], biasGradient: [Float]) {
      var losses = [Double](repeating: 1, count: lanes)
      let biasGradient = try FloatBuffer(Array(repeating: 2, count: vocabulary))
      targets.withUnsafeBufferPointer { targets in
        for index in loss.parts.indices {
          loss.takeExponentials(ofPart: index, part(index), bias: bias.pointer, targets: targets)
        }
        losses.withUnsafeMutableBufferPointer { loss.addLosses(targets: targets, firstPosition: 0, to: $0) }
        guard learning else { return }
        for index in loss.parts.indices {
          loss.differentiate(
            part: index, part(index), targets: targets, biasGradient: biasGradient.pointer)
        }
      }
      return (losses, Array(biasGradient.values))
    }
  }

  @Test(arguments: [(2, 1), (11, 6), (65, 33), (144, 16), (145, 50), (700, 70)], [Float(0.1), 10, 80, 1000])
  func lossesAndGradientsAreRight(shape: (vocabulary: Int, positions: Int), range: Float) throws {
    let (vocabulary, positions) = shape
    let lanes = positions > 2 ? 3 : 1
    let targets = (0..<positions).map { Int32(($0 * 37 + 1) % vocabulary) }
    func drawn(_ token: Int, _ position: Int) -> Float {
      Float(random.unit(UInt32(token), UInt32(position), 0) * 2 - 1) * range
    }
    for instructions in Instructions.available {
      let one = try Case(vocabulary, positions, logit: drawn)
      one.loss.instructions = instructions
      let (losses, biasGradient) = try one.run(targets, lanes: lanes, learning: true)
      var expectedLosses = [Double](repeating: 1, count: lanes)
      var expectedBias = [Double](repeating: 2, count: vocabulary)
      for position in 0..<positions {
        let scores = (0..<vocabulary).map { Double(drawn($0, position) + one.bias[$0]) }
        let largest = scores.max() ?? 0
        let total = scores.reduce(0) { $0 + exp($1 - largest) }
        expectedLosses[position % lanes] += log(total) + largest - scores[Int(targets[position])]
        for token in 0..<vocabulary {
          let gradient = exp(scores[token] - largest) / total - (token == Int(targets[position]) ? 1 : 0)
          expectedBias[token] += gradient
          #expect(abs(Double(one.logits[token * one.stride + position]) - gradient) < 1e-5)
        }
      }
      for (found, expected) in zip(losses, expectedLosses) { #expect(abs(found - expected) < 2e-6 * max(1, expected)) }
      for (found, expected) in zip(biasGradient, expectedBias) { #expect(abs(Double(found) - expected) < 1e-4) }
    }
  }

  @Test func whatHasNoTargetIsPassedOver() throws {
    let one = try Case(3, 2) { token, _ in Float(token) }
    #expect(try one.run([-1, -1], lanes: 1, learning: false).losses == [1])
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func aLogitThatIsNoNumberMakesItsLossNone(_ logit: Float) throws {
    for instructions in Instructions.available {
      let one = try Case(300, 20) { token, position in token == 150 && position == 7 ? logit : 0.5 }
      one.loss.instructions = instructions
      let losses = try one.run(Array(repeating: 4, count: 20), lanes: 20, learning: false).losses
      for (position, loss) in losses.enumerated() {
        #expect(loss.isFinite == (position != 7 || logit == -.infinity), "position \(position)")
      }
    }
  }
}
