import Foundation

/// A number that remembers how it was computed, in double precision: reverse-mode differentiation in its
/// plainest form, so that the reference model below is nothing but its equations.
struct Tracked {
  fileprivate let tape: Tape
  fileprivate let index: Int
  var value: Double { tape.values[index] }
}

final class Tape {
  fileprivate var values: [Double] = []
  private var parents: [[(index: Int, slope: Double)]] = []

  func number(_ value: Double) -> Tracked { record(value, []) }

  fileprivate func record(_ value: Double, _ from: [(index: Int, slope: Double)]) -> Tracked {
    values.append(value)
    parents.append(from)
    return Tracked(tape: self, index: values.count - 1)
  }

  /// Derivatives of `result` by each of `variables`.
  func gradient(of result: Tracked, by variables: [Tracked]) -> [Double] {
    var slopes = [Double](repeating: 0, count: values.count)
    slopes[result.index] = 1
    for index in stride(from: result.index, through: 0, by: -1) where slopes[index] != 0 {
      for parent in parents[index] { slopes[parent.index] += slopes[index] * parent.slope }
    }
    return variables.map { slopes[$0.index] }
  }
}

extension Tracked {
  static func + (a: Tracked, b: Tracked) -> Tracked {
    a.tape.record(a.value + b.value, [(a.index, 1), (b.index, 1)])
  }

  static func - (a: Tracked, b: Tracked) -> Tracked {
    a.tape.record(a.value - b.value, [(a.index, 1), (b.index, -1)])
  }

  static func * (a: Tracked, b: Tracked) -> Tracked {
    a.tape.record(a.value * b.value, [(a.index, b.value), (b.index, a.value)])
  }

  static func sum(_ terms: [Tracked]) -> Tracked {
    terms[0].tape.record(terms.reduce(0) { $0 + $1.value }, terms.map { ($0.index, 1) })
  }

  private func apply(_ result: Double, slope: Double) -> Tracked { tape.record(result, [(index, slope)]) }

  var tanh: Tracked {
    let result = Foundation.tanh(value)
    return apply(result, slope: 1 - result * result)
  }

  var sigmoid: Tracked {
    let result = 1 / (1 + Foundation.exp(-value))
    return apply(result, slope: result * (1 - result))
  }

  var leakyRelu: Tracked { apply(value > 0 ? value : 0.01 * value, slope: value > 0 ? 1 : 0.01) }
  var relu: Tracked { apply(max(0, value), slope: value > 0 ? 1 : 0) }
  var exp: Tracked { apply(Foundation.exp(value), slope: Foundation.exp(value)) }
  var log: Tracked { apply(Foundation.log(value), slope: 1 / value) }
}
