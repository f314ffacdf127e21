import Kernels
import Networks
import Testing

/// The model against a plain double-precision one, itself checked by numerical differentiation.
@Suite struct ReferenceTests {
  static let shapes: [(embedding: Int, hidden: [Int], tied: Bool)] = [
    (6, [7], false), (5, [9, 4], false), (6, [8, 6], true), (3, [4, 5, 6], false),
  ]
  static let vocabularySize = 11

  /// All that a kind can be, of each shape: a kind without models here does not compile.
  static func models(of kind: NetworkKind, _ shape: Int) -> [ModelConfiguration] {
    switch kind {
    case .recurrent: Cell.allCases.map { configuration($0, shape) }
    case .window: Activation.allCases.map { windows($0, shape) }
    }
  }

  private static func configuration(_ cell: Cell, _ shape: Int) -> ModelConfiguration {
    ModelConfiguration(
      cell: cell, embeddingSize: shapes[shape].embedding, hiddenSizes: shapes[shape].hidden,
      tiedWeights: shapes[shape].tied)
  }

  private static func windows(_ activation: Activation, _ shape: Int) -> ModelConfiguration {
    var configuration = configuration(.lstm, shape)
    configuration.kind = .window
    configuration.activation = activation
    configuration.window = [1, 3, 2, 6][shape]
    configuration.direct = shape % 2 == 1
    return configuration
  }

  @Test(arguments: NetworkKind.allCases, shapes.indices)
  func agreesWithTheReference(kind: NetworkKind, shape: Int) throws {
    for model in Self.models(of: kind, shape) { try compare(model, shape) }
  }

  private func compare(_ configuration: ModelConfiguration, _ shape: Int) throws {
    let harness = try ModelHarness(configuration, vocabularySize: Self.vocabularySize, steps: 5, lanes: 3)
    let problem = makeProblem(
      configuration, vocabularySize: Self.vocabularySize, steps: 5, lanes: 3, seed: UInt64(shape) + 1)
    let reference = ReferenceModel(
      configuration: configuration, vocabularySize: Self.vocabularySize, steps: 5, lanes: 3)
    let expected = reference.solve(problem)
    let found = try harness.solve(problem)

    #expect(abs(found.loss - expected.loss) / expected.loss < 1e-5)
    #expect(relativeDifference(found.laneLosses, expected.laneLosses) < 1e-5)
    #expect(relativeDifference(found.logits, expected.logits) < 1e-5)
    for name in harness.layout.tensors.map(\.name) {
      let difference = relativeDifference(found.gradients[name] ?? [], expected.gradients[name] ?? [0])
      #expect(difference < 1e-5, "gradient of \(name)")
    }
    for layer in configuration.kind == .recurrent ? configuration.hiddenSizes.indices : 0..<0 {
      #expect(relativeDifference(found.finalHidden[layer], expected.finalHidden[layer]) < 1e-5)
      #expect(
        relativeDifference(found.initialHiddenGradient[layer], expected.initialHiddenGradient[layer]) < 1e-5)
    }
    #expect(found.initialCellGradient.count == expected.initialCellGradient.count)
    for (found, expected) in zip(found.initialCellGradient, expected.initialCellGradient) {
      #expect(relativeDifference(found, expected) < 1e-5)
    }
  }

  @Test(arguments: NetworkKind.allCases)
  func referenceAgreesWithDifferences(kind: NetworkKind) throws {
    for model in Self.models(of: kind, 1) { try differ(model) }
  }

  private func differ(_ configuration: ModelConfiguration) throws {
    let reference = ReferenceModel(
      configuration: configuration, vocabularySize: Self.vocabularySize, steps: 3, lanes: 2)
    let problem = makeProblem(configuration, vocabularySize: Self.vocabularySize, steps: 3, lanes: 2, seed: 9)
    let solution = reference.solve(problem)
    let step = 1e-5

    func slope(_ change: (inout ReferenceModel.Problem, Double) -> Void) -> Double {
      var (up, down) = (problem, problem)
      change(&up, step)
      change(&down, -step)
      return (reference.loss(up) - reference.loss(down)) / (2 * step)
    }
    for (name, values) in problem.parameters {
      // Every seventh number of each tensor.
      let picked = Array(stride(from: 0, to: values.count, by: 7))
      let numerical = picked.map { index in slope { $0.parameters[name]?[index] += $1 } }
      let exact = picked.map { solution.gradients[name]?[$0] ?? .nan }
      #expect(relativeDifference(numerical, exact) < 1e-6, "gradient of \(name)")
    }
    for layer in problem.initialHidden.indices {
      let numerical = problem.initialHidden[layer].indices.map { index in
        slope { $0.initialHidden[layer][index] += $1 }
      }
      #expect(relativeDifference(numerical, solution.initialHiddenGradient[layer]) < 1e-6)
    }
    for layer in problem.initialCell.indices {
      let numerical = problem.initialCell[layer].indices.map { index in
        slope { $0.initialCell[layer][index] += $1 }
      }
      #expect(relativeDifference(numerical, solution.initialCellGradient[layer]) < 1e-6)
    }
  }
}
