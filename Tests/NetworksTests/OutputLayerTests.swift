import Foundation
import Kernels
import Testing

@testable import Networks

@Suite struct OutputLayerTests {
  private let random = CounterRandom(seed: 11, purpose: .benchmark)

  private func buffer(_ count: Int, _ stream: UInt32) throws -> FloatBuffer {
    try FloatBuffer((0..<count).map { Float(random.unit(UInt32($0), stream, 0) * 2 - 1) })
  }

  /// A layer and all that it reads and writes.
  private struct Case {
    let (rows, hiddenSize, vocabulary): (Int, Int, Int)
    let layer: OutputLayer
    let hidden, weight, bias: FloatBuffer
    let hiddenGradient, weightGradient, biasGradient: FloatBuffer
    let targets: [Int32]

    func learn(overwrites: Bool, lanes: Int) throws -> [Double] {
      var losses = [Double](repeating: 0, count: lanes)
      try targets.withUnsafeBufferPointer { targets in
        try losses.withUnsafeMutableBufferPointer { losses in
          try layer.learn(
            hidden: hidden.matrix(rows: rows, columns: hiddenSize), weights: matrices(weight, bias), targets: targets,
            losses: losses, hiddenGradient: hiddenGradient.matrix(rows: rows, columns: hiddenSize),
            gradients: matrices(weightGradient, biasGradient), overwrites: overwrites)
        }
      }
      return losses
    }

    private func matrices(_ weight: FloatBuffer, _ bias: FloatBuffer) -> OutputWeights {
      OutputWeights(
        weight: weight.matrix(rows: vocabulary, columns: hiddenSize), bias: bias.matrix(rows: 1, columns: vocabulary))
    }
  }

  private func makeCase(rows: Int, hiddenSize: Int, vocabulary: Int, blockRows: Int) throws -> Case {
    Case(
      rows: rows, hiddenSize: hiddenSize, vocabulary: vocabulary,
      layer: try OutputLayer(
        rows: rows, hiddenSize: hiddenSize, vocabularySize: vocabulary, blockRows: blockRows),
      hidden: try buffer(rows * hiddenSize, 1), weight: try buffer(vocabulary * hiddenSize, 2),
      bias: try buffer(vocabulary, 3), hiddenGradient: try buffer(rows * hiddenSize, 4),
      weightGradient: try buffer(vocabulary * hiddenSize, 5), biasGradient: try buffer(vocabulary, 6),
      targets: (0..<rows).map { Int32(($0 * 977 + 1) % vocabulary) })
  }

  /// One block and several of different sizes, of a vocabulary of a part, of several and of several groups of them.
  @Test(arguments: [(50, 1200), (17, 1200), (50, 300), (50, 2)], [false, true])
  func lossesAndGradientsAreThoseOfTheEquations(shape: (blockRows: Int, vocabulary: Int), overwrites: Bool) throws {
    let (rows, hiddenSize, vocabulary, lanes) = (50, 13, shape.vocabulary, 5)
    let one = try makeCase(rows: rows, hiddenSize: hiddenSize, vocabulary: vocabulary, blockRows: shape.blockRows)
    func before(_ gradient: FloatBuffer) -> [Double] {
      overwrites ? gradient.values.map { _ in 0 } : gradient.values.map(Double.init)
    }
    var losses = [Double](repeating: 0, count: lanes)
    var hiddenGradient = [Double](repeating: 0, count: rows * hiddenSize)
    var (weightGradient, biasGradient) = (before(one.weightGradient), before(one.biasGradient))
    for row in 0..<rows {
      let target = Int(one.targets[row])
      let scores = (0..<vocabulary).map { token in
        (0..<hiddenSize).reduce(Double(one.bias[token])) {
          $0 + Double(one.hidden[row * hiddenSize + $1]) * Double(one.weight[token * hiddenSize + $1])
        }
      }
      let total = scores.reduce(0) { $0 + exp($1) }
      losses[row % lanes] += log(total) - scores[target]
      for token in 0..<vocabulary {
        let gradient = exp(scores[token]) / total - (token == target ? 1 : 0)
        biasGradient[token] += gradient
        for unit in 0..<hiddenSize {
          hiddenGradient[row * hiddenSize + unit] += gradient * Double(one.weight[token * hiddenSize + unit])
          weightGradient[token * hiddenSize + unit] += gradient * Double(one.hidden[row * hiddenSize + unit])
        }
      }
    }
    let found = try one.learn(overwrites: overwrites, lanes: lanes)
    for (found, expected) in zip(found, losses) { #expect(abs(found - expected) < 1e-5 * expected) }
    for (found, expected) in [
      (one.hiddenGradient, hiddenGradient), (one.weightGradient, weightGradient), (one.biasGradient, biasGradient),
    ] {
      for index in expected.indices { #expect(abs(Double(found[index]) - expected[index]) < 1e-5) }
    }
  }

  @Test func aStepThatWasNoNumberLeavesNothingBehind() throws {
    // Blocks of 17 and 16 positions: the last column of the first is space beside the second.
    let one = try makeCase(rows: 33, hiddenSize: 4, vocabulary: 20, blockRows: 20)
    let good = try one.learn(overwrites: true, lanes: 1)
    let gradient = Array(one.biasGradient.values)
    let kept = (0..<33).map { one.hidden[$0 * 4] }
    for row in 0..<33 { one.hidden[row * 4] = .nan }
    #expect(try one.learn(overwrites: true, lanes: 1)[0].isNaN)
    for row in 0..<33 { one.hidden[row * 4] = kept[row] }
    #expect(try one.learn(overwrites: true, lanes: 1) == good)
    #expect(Array(one.biasGradient.values) == gradient)
  }
}
