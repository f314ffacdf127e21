/// How the curves of one run are drawn.
struct LineStyle: Equatable {
  var color: String
  /// `stroke-dasharray` of the curve that matters; empty for a whole line.
  var dashes: String

  /// Colours that stay apart for those who do not see red and green, or blue and yellow, apart (Okabe and Ito, "Color
  /// Universal Design", 2008), without the yellow, which is not seen on white.
  private static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
  private static let dashes = ["", "10 4", "3 3", "10 3 3 3", "18 5", "10 3 3 3 3 3"]

  /// Of run `index`: the first 42 differ.
  init(_ index: Int) {
    color = Self.colors[index % Self.colors.count]
    dashes = Self.dashes[index % Self.dashes.count]
  }

  private init(color: String) {
    self.color = color
    dashes = ""
  }

  /// Of what stands for all runs.
  static let neutral = LineStyle(color: Ink.secondary)

  static let thinWidth = 1.2
  static let thickWidth = 2.2
  static let thinOpacity = "0.5"
}

/// Colours of all that is not a curve.
enum Ink {
  static let background = "#ffffff"
  static let text = "#1f2328"
  static let secondary = "#59636e"
  static let axis = "#818b98"
  static let grid = "#d9dee4"
  static let minorGrid = "#eff2f5"
}
