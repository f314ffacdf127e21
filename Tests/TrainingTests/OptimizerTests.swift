import Foundation
import Kernels
import Testing
import Training

/// Every rule against PyTorch (see Tests/Goldens).
@Suite struct OptimizerTests {
  struct Goldens: Decodable {
    struct Tensor: Decodable {
      let shape: [Int]
      let values: [Double]
    }
    struct Case: Decodable {
      let name: String
      let settings: OptimizerConfiguration
      let parameters: Tensor
    }
    let initial: Tensor
    let gradients: Tensor
    let cases: [Case]
  }

  private func goldens() throws -> Goldens {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try JSONDecoder().decode(
      Goldens.self, from: Data(contentsOf: folder.appendingPathComponent("Goldens/optimizers.json")))
  }

  @Test func everyRuleIsPyTorchs() throws {
    let goldens = try goldens()
    let size = goldens.initial.values.count
    var kinds: Set<OptimizerConfiguration.Kind> = []
    for golden in goldens.cases {
      kinds.insert(golden.settings.kind)
      let parameters = try FloatBuffer(goldens.initial.values.map(Float.init))
      let optimizer = try Optimizer(golden.settings, count: size)
      let steps = golden.parameters.values.count / size
      #expect(steps == goldens.gradients.values.count / size)
      for step in 0..<steps {
        // As the trainer does: a sum of tokens' gradients, and the scale that makes it a mean.
        let gradient = try FloatBuffer(goldens.gradients.values[step * size..<(step + 1) * size].map { Float($0 * 8) })
        optimizer.update(
          parameters, 0..<size, with: gradient, gradientScale: 1 / 8, rate: golden.settings.learningRate, step: step + 1
        )
        for index in 0..<size {
          let expected = golden.parameters.values[step * size + index]
          #expect(
            abs(Double(parameters[index]) - expected) < 2e-6 * max(1, abs(expected)),
            "\(golden.name), step \(step), number \(index)")
        }
      }
    }
    #expect(kinds == Set(OptimizerConfiguration.Kind.allCases))
  }
}
