import Foundation

/// Curves of one or more runs over a common axis, as a picture: a value in, the text of an SVG file out.
///
/// Each run has a colour and a dash pattern of its own, so that its curves can be told
/// from the others' by those who see colours otherwise, and on grey paper. The background is part of the picture: it
/// looks the same on a light page and on a dark one. Below the plot stands the legend; names that are too long for it
/// lack their middle.
public struct LineChart: Equatable, Sendable {
  public struct Point: Equatable, Sendable {
    public var x: Double
    /// More than 0. A point with another value, or with one that is not finite or out of all bounds, is a gap in its curve.
    public var y: Double

    public init(x: Double, y: Double) {
      self.x = x
      self.y = y
    }

    /// Whether it can be drawn. Beyond these limits differences of x are no longer exact, and ratios of y no longer finite.
    var isDrawable: Bool { abs(x) < 1e15 && y > 1e-150 && y < 1e150 }
  }

  /// The curves of one run, both from left to right.
  public struct Series: Equatable, Sendable {
    public var name: String
    /// Drawn thin and faint: there may be many points and much noise.
    public var thin: [Point]
    /// Drawn thick; its best point is marked and labelled with its value.
    public var thick: [Point]

    public init(name: String, thin: [Point] = [], thick: [Point] = []) {
      self.name = name
      self.thin = thin
      self.thick = thick
    }

    /// The first of the lowest points of `thick`, or of the highest; nil where nothing can be drawn.
    public func best(higherIsBetter: Bool) -> Point? {
      thick.filter(\.isDrawable).min { higherIsBetter ? $0.y > $1.y : $0.y < $1.y }
    }
  }

  public var title = ""
  /// What x counts, as in "step".
  public var xLabel = ""
  public var yLabel = ""
  public enum Scale: Sendable { case linear, logarithmic }
  /// Of the vertical axis.
  public var scale = Scale.logarithmic
  /// Whether the highest point of a run is marked, not the lowest.
  public var higherIsBetter = false
  /// Whether x counts in whole numbers only.
  public var xIsWhole = true
  /// What `Series.thin`, `Series.thick` and the marks of the best points are called in the legend.
  public var thinLabel = ""
  public var thickLabel = ""
  public var bestLabel = ""
  public var series: [Series] = []
  /// The highest value there is room for; a curve that goes higher leaves the plot. nil: one that leaves little room to the
  /// steep beginning of runs, and none to those that have gone astray.
  public var highest: Double?
  /// Pixels, at least those of `smallest`. Where the legend would leave less than half of it to the plot, the picture
  /// becomes higher.
  public var width = 860
  public var height = 520

  public static let smallest = (width: 320, height: 240)

  public init() {}

  /// The picture. Where no point can be drawn, it says so. Traps if it is smaller than `smallest`.
  public func svg() -> String {
    precondition(width >= Self.smallest.width && height >= Self.smallest.height, "\(width) x \(height) is too small")
    return LineChartDrawing(self).text()
  }
}
