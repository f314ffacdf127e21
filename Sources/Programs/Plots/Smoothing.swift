import Foundation

extension LineChart {
  /// Each point with the mean over `rows` points around it. On a logarithmic axis it is the mean of
  /// the logarithms, for that is what the axis shows; of perplexities it is the exponential of the mean loss.
  ///
  /// Towards the beginning, or after a gap, it is over fewer points, as many before as after, so that a steep curve begins
  /// where the points do; towards the end, over those that are left. Gaps stay. Takes a time that does not depend on `rows`. Traps unless `rows` is
  /// positive.
  public static func smoothed(_ points: [Point], over rows: Int, _ scale: Scale = .logarithmic) -> [Point] {
    precondition(rows > 0, "a mean over \(rows) rows")
    guard rows > 1 else { return points }
    func height(_ point: Point) -> Double { scale == .logarithmic ? log(point.y) : point.y }
    var result = points
    for piece in points.indices.split(whereSeparator: { !points[$0].isDrawable }) {
      // Sums of what is over the first value: it keeps more digits than sums of the values.
      let origin = height(points[piece.startIndex])
      var sums = [0.0]
      for index in piece { sums.append(sums[sums.count - 1] + height(points[index]) - origin) }
      for index in piece {
        let before = index - piece.startIndex
        let after = piece.endIndex - 1 - index
        let half = (rows - 1) / 2
        let back = min(before, half)
        let forth = min(after, before < half ? before : rows / 2)
        let sum = sums[before + forth + 1] - sums[before - back]
        let mean = origin + sum / Double(back + forth + 1)
        result[index].y = scale == .logarithmic ? exp(mean) : mean
      }
    }
    return result
  }
}
