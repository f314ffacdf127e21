import Kernels
import Networks

/// The language model written down as its equations, one number at a time, in double precision.
struct ReferenceModel {
  let configuration: ModelConfiguration
  let vocabularySize: Int
  let steps: Int
  let lanes: Int

  struct Problem {
    var inputs: [Int]
    var targets: [Int]
    /// By name, row-major.
    var parameters: [String: [Double]]
    /// Per layer; `cell` is empty for cells without one.
    var initialHidden: [[Double]]
    var initialCell: [[Double]]
    /// Of a window network: the tokens before of each lane, oldest first; -1 is none.
    var context: [Int] = []
  }

  struct Solution {
    var loss: Double
    var laneLosses: [Double]
    var logits: [Double]
    var finalHidden: [[Double]]
    var gradients: [String: [Double]]
    var initialHiddenGradient: [[Double]]
    var initialCellGradient: [[Double]]
  }

  func solve(_ problem: Problem) -> Solution {
    let tape = Tape()
    let parameters = problem.parameters.mapValues { $0.map(tape.number) }
    let hidden = problem.initialHidden.map { $0.map(tape.number) }
    let cell = problem.initialCell.map { $0.map(tape.number) }
    let forward = run(tape, problem, parameters, hidden, cell)
    func gradient(_ variables: [Tracked]) -> [Double] { tape.gradient(of: forward.loss, by: variables) }
    return Solution(
      loss: forward.loss.value, laneLosses: forward.laneLosses, logits: forward.logits,
      finalHidden: forward.finalHidden, gradients: parameters.mapValues(gradient),
      initialHiddenGradient: hidden.map(gradient), initialCellGradient: cell.map(gradient))
  }

  func loss(_ problem: Problem) -> Double {
    let tape = Tape()
    return run(
      tape, problem, problem.parameters.mapValues { $0.map(tape.number) },
      problem.initialHidden.map { $0.map(tape.number) }, problem.initialCell.map { $0.map(tape.number) }
    ).loss.value
  }

  private typealias Forward = (
    loss: Tracked, laneLosses: [Double], logits: [Double], finalHidden: [[Double]]
  )

  private func run(
    _ tape: Tape, _ problem: Problem, _ parameters: [String: [Tracked]], _ initialHidden: [[Tracked]],
    _ initialCell: [[Tracked]]
  ) -> Forward {
    func tensor(_ name: String) -> [Tracked] { parameters[name] ?? [] }
    var losses: [Tracked] = []
    var laneLosses = [Double](repeating: 0, count: lanes)
    var logits = [[Double]](repeating: [], count: steps * lanes)
    var finalHidden = initialHidden.map { $0.map(\.value) }
    for lane in 0..<lanes {
      let layers = configuration.kind == .recurrent ? configuration.hiddenSizes.indices : 0..<0
      var hidden = layers.map { layer in
        let size = configuration.hiddenSizes[layer]
        return Array(initialHidden[layer][lane * size..<(lane + 1) * size])
      }
      var cell = initialCell.indices.map { layer in
        let size = configuration.hiddenSizes[layer]
        return Array(initialCell[layer][lane * size..<(lane + 1) * size])
      }
      for step in 0..<steps {
        let row = step * lanes + lane
        func embedding(_ token: Int) -> [Tracked] {
          let width = configuration.embeddingSize
          return token < 0
            ? (0..<width).map { _ in tape.number(0) } : Array(tensor("embedding")[token * width..<(token + 1) * width])
        }
        var x = embedding(problem.inputs[row])
        if configuration.kind == .window {
          let size = configuration.window - 1
          let read =
            problem.context[lane * size..<(lane + 1) * size] + (0...step).map { problem.inputs[$0 * lanes + lane] }
          x = window(read.suffix(size + 1).flatMap(embedding), tensor, tape)
        }
        for layer in layers {
          let name = "\(configuration.cell.family).\(layer)"
          let weights = Weights(
            input: tensor("\(name).weightInput"), hidden: tensor("\(name).weightHidden"),
            bias: tensor("\(name).bias"), size: configuration.hiddenSizes[layer])
          if configuration.cell == .lstm {
            (hidden[layer], cell[layer]) = lstm(x, hidden[layer], cell[layer], weights)
          } else {
            hidden[layer] = next(x, hidden[layer], weights, tape)
          }
          x = hidden[layer]
        }
        let table = tensor(configuration.tiedWeights ? "embedding" : "output.weight")
        let scores = (0..<vocabularySize).map { word in
          Tracked.sum(x.indices.map { x[$0] * table[word * x.count + $0] } + [tensor("output.bias")[word]])
        }
        logits[row] = scores.map(\.value)
        let loss = Tracked.sum(scores.map(\.exp)).log - scores[problem.targets[row]]
        laneLosses[lane] += loss.value
        losses.append(loss)
      }
      for layer in hidden.indices {
        let size = hidden[layer].count
        for unit in 0..<size { finalHidden[layer][lane * size + unit] = hidden[layer][unit].value }
      }
    }
    return (Tracked.sum(losses), laneLosses, logits.flatMap { $0 }, finalHidden)
  }

  /// Layers above the embeddings of a window; with direct connections these stand beside the last.
  private func window(_ embedded: [Tracked], _ tensor: (String) -> [Tracked], _ tape: Tape) -> [Tracked] {
    var x = embedded
    for (layer, size) in configuration.hiddenSizes.enumerated() {
      let (weight, bias) = (tensor("dense.\(layer).weight"), tensor("dense.\(layer).bias"))
      x = (0..<size).map { unit in
        let sum = Tracked.sum(x.indices.map { x[$0] * weight[$0 * size + unit] } + [bias[unit]])
        return switch configuration.activation {
        case .tanh: sum.tanh
        case .relu: sum.relu
        case .sigmoid: sum.sigmoid
        }
      }
    }
    return configuration.direct ? x + embedded : x
  }

  private struct Weights {
    let input: [Tracked]
    let hidden: [Tracked]
    let bias: [Tracked]
    let size: Int

    /// Column `gate * size + unit` of a matrix with `gates * size` columns, times a vector.
    func product(_ vector: [Tracked], _ matrix: [Tracked], _ column: Int, gates: Int) -> Tracked {
      Tracked.sum(vector.indices.map { vector[$0] * matrix[$0 * gates * size + column] })
    }
  }

  private func lstm(_ x: [Tracked], _ h: [Tracked], _ c: [Tracked], _ w: Weights) -> ([Tracked], [Tracked]) {
    func sum(_ gate: Int, _ unit: Int) -> Tracked {
      let column = gate * w.size + unit
      return w.product(x, w.input, column, gates: 4) + w.product(h, w.hidden, column, gates: 4) + w.bias[column]
    }
    let cell = (0..<w.size).map { unit in
      sum(1, unit).sigmoid * c[unit] + sum(0, unit).sigmoid * sum(2, unit).tanh
    }
    return ((0..<w.size).map { sum(3, $0).sigmoid * cell[$0].tanh }, cell)
  }

  private func next(_ x: [Tracked], _ h: [Tracked], _ w: Weights, _ tape: Tape) -> [Tracked] {
    let gates = configuration.cell.gates
    func fromInput(_ gate: Int, _ unit: Int) -> Tracked {
      w.product(x, w.input, gate * w.size + unit, gates: gates) + w.bias[gate * w.size + unit]
    }
    func fromHidden(_ h: [Tracked], _ gate: Int, _ unit: Int) -> Tracked {
      w.product(h, w.hidden, gate * w.size + unit, gates: gates)
    }
    func sum(_ gate: Int, _ unit: Int) -> Tracked { fromInput(gate, unit) + fromHidden(h, gate, unit) }
    let units = 0..<w.size
    switch configuration.cell {
    case .lstm: preconditionFailure("an LSTM has a cell state")
    case .rnnTanh: return units.map { sum(0, $0).tanh }
    case .rnnRelu: return units.map { sum(0, $0).relu }
    case .rnnLeakyRelu: return units.map { sum(0, $0).leakyRelu }
    case .rnnSigmoid: return units.map { sum(0, $0).sigmoid }
    case .gruSimple:
      return units.map {
        let update = sum(0, $0).sigmoid
        return update * sum(1, $0).tanh + (tape.number(1) - update) * h[$0]
      }
    case .gru, .gruVanilla:
      let update = units.map { sum(0, $0).sigmoid }
      let reset = units.map { sum(1, $0).sigmoid }
      let new =
        configuration.cell == .gru
        ? units.map { (fromInput(2, $0) + reset[$0] * (fromHidden(h, 2, $0) + w.bias[3 * w.size + $0])).tanh }
        : units.map { (fromInput(2, $0) + fromHidden(units.map { reset[$0] * h[$0] }, 2, $0)).tanh }
      return units.map { update[$0] * h[$0] + (tape.number(1) - update[$0]) * new[$0] }
    }
  }
}
