/// Finds places for labels beside points, where few curves and no other labels are.
struct LabelPlacement {
  struct Box: Equatable {
    var left: Double
    var top: Double
    var width: Double
    var height: Double

    var right: Double { left + width }
    var bottom: Double { top + height }
  }

  private let area: Box
  private let columns: Int
  private let rows: Int
  /// How much is in each cell of the area, row after row.
  private var contents: [Double]

  private static let cell = 4.0
  /// What a curve, a thick one and a label weigh.
  static let thinWeight = 1.0
  static let thickWeight = 3.0
  private static let labelWeight = 50.0

  init(in area: Box) {
    self.area = area
    columns = max(1, Int((area.width / Self.cell).rounded(.up)))
    rows = max(1, Int((area.height / Self.cell).rounded(.up)))
    contents = Array(repeating: 0, count: columns * rows)
  }

  /// Takes note of a curve.
  mutating func add(_ line: Polyline, weight: Double) {
    for piece in line.pieces {
      var last = piece[0]
      for place in piece {
        // What is far outside makes a long way, of which next to nothing is within.
        let (from, to) = (clamped(last), clamped(place))
        let count = max(1, Int(max(abs(to.x - from.x), abs(to.y - from.y)) / (Self.cell / 2)))
        for index in 0...count {
          let part = Double(index) / Double(count)
          let place = Place(x: from.x + part * (to.x - from.x), y: from.y + part * (to.y - from.y))
          if let cell = cell(place) { contents[cell] = max(contents[cell], weight) }
        }
        last = place
      }
    }
  }

  /// Takes note of a mark or a label.
  mutating func add(_ box: Box) {
    for cell in cells(of: box) { contents[cell] = Self.labelWeight }
  }

  /// The best place for a label of a size beside `point`; it is taken from then on.
  mutating func place(width: Double, height: Double, beside point: Place) -> Box {
    let directions: [(Double, Double)] = [(0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0)]
    var best = Box(left: point.x - width / 2, top: point.y + 8, width: width, height: height)
    var leastCost = Double.infinity
    for distance in [8.0, 16, 26, 40, 60, 90] {
      for (order, direction) in directions.enumerated() {
        let box = Box(
          left: point.x + direction.0 * (distance + width / 2) - width / 2,
          top: point.y + direction.1 * (distance + height / 2) - height / 2, width: width, height: height)
        guard box.left >= area.left, box.right <= area.right, box.top >= area.top, box.bottom <= area.bottom else {
          continue
        }
        let cost = cells(of: box).reduce(0) { $0 + contents[$1] } + distance / 2 + Double(order) / 10
        if cost < leastCost { (best, leastCost) = (box, cost) }
      }
    }
    add(best)
    return best
  }

  private func clamped(_ place: Place) -> Place {
    Place(
      x: min(max(place.x, area.left - Self.cell), area.right + Self.cell),
      y: min(max(place.y, area.top - Self.cell), area.bottom + Self.cell))
  }

  private func cell(_ place: Place) -> Int? {
    let column = Int(((place.x - area.left) / Self.cell).rounded(.down))
    let row = Int(((place.y - area.top) / Self.cell).rounded(.down))
    return (0..<columns).contains(column) && (0..<rows).contains(row) ? row * columns + column : nil
  }

  private func cells(of box: Box) -> [Int] {
    func range(_ low: Double, _ high: Double, _ count: Int) -> Range<Int> {
      let first = min(max(0, Int((low / Self.cell).rounded(.down))), count)
      return first..<min(max(first, Int((high / Self.cell).rounded(.up))), count)
    }
    let across = range(box.left - area.left, box.right - area.left, columns)
    return range(box.top - area.top, box.bottom - area.top, rows).flatMap { row in across.map { row * columns + $0 } }
  }
}
