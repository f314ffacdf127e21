import Foundation
import Networks

/// What the numbers of a tensor are like.
public struct WeightStatistics: Codable, Equatable, Sendable {
  public let name: String
  public let shape: [Int]
  public let mean: Double
  public let standardDeviation: Double
  public let least: Double
  public let most: Double
  /// Euclidean.
  public let norm: Double
  /// How many are infinite or not a number; the other figures are of the rest.
  public let notFinite: Int

  /// `eachValue` hands all of them to what it is given.
  public init(name: String, shape: [Int], eachValue: ((Float) -> Void) throws -> Void) rethrows {
    var (count, notFinite) = (0, 0)
    var (sum, squares) = (0.0, 0.0)
    var (least, most) = (Double.infinity, -Double.infinity)
    try eachValue { value in
      guard value.isFinite else {
        notFinite += 1
        return
      }
      let value = Double(value)
      count += 1
      sum += value
      squares += value * value
      least = min(least, value)
      most = max(most, value)
    }
    self.name = name
    self.shape = shape
    mean = sum / Double(max(count, 1))
    standardDeviation = max(0, squares / Double(max(count, 1)) - mean * mean).squareRoot()
    self.least = count > 0 ? least : 0
    self.most = count > 0 ? most : 0
    norm = squares.squareRoot()
    self.notFinite = notFinite
  }
}

extension Parameters {
  /// Of each tensor, in order.
  public var statistics: [WeightStatistics] {
    layout.tensors.map { view in
      WeightStatistics(name: view.name, shape: view.shape) { buffer.values[view.range].forEach($0) }
    }
  }
}
