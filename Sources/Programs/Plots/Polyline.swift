import Foundation

/// A place on the picture, in pixels from its upper left corner.
struct Place: Equatable {
  var x: Double
  var y: Double
}

/// A curve as it is drawn: the pieces between its gaps.
struct Polyline: Equatable {
  /// Each of at least one place, from left to right.
  private(set) var pieces: [[Place]] = []

  /// Of the points in one column of pixels only the first, the last, the highest and the lowest are kept: the picture
  /// is the same, and its size depends on its width alone.
  init(_ points: [LineChart.Point], x: Axis, y: Axis) {
    for piece in points.split(whereSeparator: { !$0.isDrawable }) {
      var kept: [Place] = []
      var column: [Place] = []
      for point in piece {
        let place = Place(x: x.position(point.x), y: y.position(point.y))
        if let first = column.first, floor(first.x) != floor(place.x) {
          kept += Self.thinned(column)
          column.removeAll(keepingCapacity: true)
        }
        column.append(place)
      }
      pieces.append(kept + Self.thinned(column))
    }
  }

  private static func thinned(_ column: [Place]) -> [Place] {
    guard column.count > 4 else { return column }
    var (highest, lowest) = (0, 0)
    for (index, place) in column.enumerated() {
      if place.y < column[highest].y { highest = index }
      if place.y > column[lowest].y { lowest = index }
    }
    return Set([0, highest, lowest, column.count - 1]).sorted().map { column[$0] }
  }

  /// The `d` of a path. Places that are the same to a tenth of a pixel are said once; a piece of a single one is a line
  /// of no length, which round ends make a dot.
  var path: String {
    pieces.map { piece in
      var text = ""
      var previous: String?
      for place in piece {
        let next = "\(SVG.number(place.x)) \(SVG.number(place.y))"
        if next == previous { continue }
        text += previous == nil ? "M\(next)" : text.contains("L") ? " \(next)" : "L\(next)"
        previous = next
      }
      return text.contains("L") ? text : text + "h0"
    }.joined()
  }
}
