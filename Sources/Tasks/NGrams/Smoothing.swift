/// How probability is kept for what was not seen. S. Chen and J. Goodman: "An empirical study of smoothing techniques for
/// language modeling" (1998) compares them.
public enum SmoothingKind: String, Codable, CaseIterable, Sendable {
  /// Relative frequencies; a shorter context only where the longer was never seen.
  case none
  /// A number added to each count of the longest context (Lidstone; Laplace with 1).
  case addDelta = "add-delta"
  /// Counts up to 5 are lowered to those of Good and Turing (Katz 1987).
  case katz
  /// Relative frequencies, times 0.4 for each word that the context is shortened by (Brants et al. 2007). These are scores:
  /// they do not sum to 1.
  case stupidBackoff = "stupid-backoff"
  /// The same number is taken from each count (Ney, Essen, Kneser 1994).
  case absoluteDiscounting = "absolute-discounting"
  /// As much is kept as different words were seen after the context (method C of Witten and Bell 1991).
  case wittenBell = "witten-bell"
  /// Absolute discounting; n-grams that are not of the highest order count by the different words before them (1995).
  case kneserNey = "kneser-ney"
  /// With a discount each for counts of 1, 2 and more (Chen and Goodman 1998).
  case modifiedKneserNey = "modified-kneser-ney"

  /// Whether shorter n-grams count by the different words before them.
  var countsContinuations: Bool { self == .kneserNey || self == .modifiedKneserNey }
  /// Whether something is kept for words that were not seen.
  var discounts: Bool {
    switch self {
    case .none, .addDelta, .stupidBackoff: false
    case .katz, .absoluteDiscounting, .wittenBell, .kneserNey, .modifiedKneserNey: true
    }
  }
  /// Whether a setting says if it interpolates.
  public var canChoose: Bool { canInterpolate && self != .addDelta }
  /// Whether what was kept can be given to all words, seen ones too.
  public var canInterpolate: Bool {
    switch self {
    case .none, .katz, .stupidBackoff: false
    case .addDelta, .absoluteDiscounting, .wittenBell, .kneserNey, .modifiedKneserNey: true
    }
  }
}

/// What is taken from the counts of one order.
public struct Discounts: Equatable, Sendable {
  /// Taken from a count of 1, of 2 and so on; the last is for all larger counts.
  public let values: [Double]
  /// What could not be computed of this text, and what was done.
  public let warning: String?

  func of(_ count: UInt32) -> Double {
    count == 0 ? 0 : values[min(Int(count), values.count) - 1]
  }

  /// The largest count that Good and Turing's estimate replaces.
  private static let katzCounts = 5
  /// How many counts of counts `init` looks at.
  static let countsOfCounts = katzCounts + 1

  /// `found` is how many n-grams are counted once, twice and so on.
  init(_ kind: SmoothingKind, order: Int, found: [Int]) {
    let counts = found.map(Double.init)
    switch kind {
    case .none, .addDelta, .stupidBackoff: self.init(values: [0], warning: nil)
    case .wittenBell: self.init(values: [1], warning: nil)
    case .absoluteDiscounting, .kneserNey:
      // n1 / (n1 + 2 n2), the estimate of Ney, Essen and Kneser.
      let value = counts[0] / (counts[0] + 2 * counts[1])
      if counts[0] > 0, counts[1] > 0 {
        self.init(values: [value], warning: nil)
      } else {
        self.init(fallback: [0.5], order, Self.missing(found.prefix(2)))
      }
    case .modifiedKneserNey:
      // Equation 26 of Chen and Goodman.
      guard !found.prefix(4).contains(0) else {
        self.init(fallback: [0.5, 1, 1.5], order, Self.missing(found.prefix(4)))
        return
      }
      let share = counts[0] / (counts[0] + 2 * counts[1])
      let values = (1...3).map { Double($0) - Double($0 + 1) * share * counts[$0] / counts[$0 - 1] }
      if let bad = values.indices.first(where: { values[$0] < 0 || values[$0] > Double($0 + 1) }) {
        self.init(
          fallback: [0.5, 1, 1.5], order,
          "the discount of n-grams seen \(bad + 1 == 3 ? "3 times or more" : Self.times(bad + 1)) would be "
            + "\((values[bad] * 1000).rounded() / 1000)"
        )
      } else {
        self.init(values: values, warning: nil)
      }
    case .katz:
      // The most counts that can be replaced.
      for most in stride(from: Self.katzCounts, to: 0, by: -1) where !found.prefix(most + 1).contains(0) {
        let rest = Double(most + 1) * counts[most] / counts[0]
        let kept = (1...most).map { count -> Double in
          let estimate = Double(count + 1) * counts[count] / counts[count - 1]
          return (estimate / Double(count) - rest) / (1 - rest)
        }
        if rest < 1, kept.allSatisfy({ $0 > 0 && $0 <= 1 }) {
          self.init(
            values: kept.enumerated().map { (1 - $1) * Double($0 + 1) } + [0],
            warning: most == Self.katzCounts
              ? nil
              : "order \(order): Good and Turing's estimate holds for counts up to \(most) only, not \(Self.katzCounts); "
                + "larger counts stay as they are")
          return
        }
      }
      self.init(fallback: [0.5], order, "Good and Turing's estimate holds for no count")
    }
  }

  init(values: [Double], warning: String? = nil) {
    self.values = values
    self.warning = warning
  }

  private init(fallback values: [Double], _ order: Int, _ problem: String) {
    self.init(
      values: values,
      warning: "order \(order): \(problem), so discounts cannot be computed of this text; "
        + "\(values.map { "\($0)" }.joined(separator: ", ")) \(values.count == 1 ? "is" : "are") used")
  }

  private static func times(_ count: Int) -> String { ["once", "twice"][safe: count - 1] ?? "\(count) times" }

  private static func missing(_ found: ArraySlice<Int>) -> String {
    "no n-gram is seen \(times(found.firstIndex(of: 0)! + 1))"
  }
}

extension Array {
  fileprivate subscript(safe place: Int) -> Element? { indices.contains(place) ? self[place] : nil }
}
