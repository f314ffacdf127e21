import Foundation
import TaskMetrics

/// Curves of a bounded size, however long the run: once there are too many rows, old ones become means.
extension Curves {
  /// So many rows each table may have.
  public static let mostRows = 20_000

  public mutating func append(_ point: TrainingPoint) {
    training.append(point)
    thinTraining(most: Self.mostRows)
  }

  public mutating func append(_ point: ValidationPoint) {
    validation.append(point)
    thinValidation(most: Self.mostRows)
  }

  /// Rows become means over equal numbers of steps, of one epoch each where there is room for that.
  mutating func thinTraining(most: Int) {
    guard training.count > most else { return }
    let places = training.map { (step: $0.step, epoch: $0.epoch) }
    var groups = Self.groups(of: places, most: most, acrossEpochs: false)
    if groups.count > most / 4 * 3 { groups = Self.groups(of: places, most: most, acrossEpochs: true) }
    training = groups.map { rows in
      TrainingPoint(
        mean: training[rows], after: rows.lowerBound > 0 ? training[rows.lowerBound - 1] : nil, trainingMetrics)
    }
  }

  /// Of several evaluations one stays: the best of all, or the last of them.
  mutating func thinValidation(most: Int) {
    guard validation.count > most else { return }
    let groups = Self.groups(of: validation.map { ($0.step, $0.epoch) }, most: most, acrossEpochs: true)
    let best = best.flatMap { validation.firstIndex(of: $0) }
    validation = groups.map { rows in
      if let best, rows.contains(best) { return validation[best] }
      return validation[rows.upperBound - 1]
    }
  }

  /// Which rows become one. The last quarter of what there may be stays as it is; the others are put together from the
  /// first on, as long as they span at most as many steps as leave a quarter of the rows: between a quarter and a half do
  /// they then take, and all of the run is equally fine. It depends on the rows alone, so that a run that was resumed has
  /// the same.
  private static func groups(
    of rows: [(step: Int, epoch: Int)], most: Int, acrossEpochs: Bool
  ) -> [Range<Int>] {
    let old = rows.count - most / 4
    let quarter = max(1, most / 4)
    let span = (rows[old - 1].step + quarter - 1) / quarter
    var groups: [Range<Int>] = []
    var first = 0
    for next in 1...old {
      let before = first > 0 ? rows[first - 1].step : 0
      if next < old, rows[next].step - before <= span, acrossEpochs || rows[next].epoch == rows[first].epoch {
        continue
      }
      groups.append(first..<next)
      first = next
    }
    return groups + (old..<rows.count).map { $0..<$0 + 1 }
  }
}

extension TrainingPoint {
  /// One row in place of some that follow each other, and `before`: means over their steps. Of a metric that is drawn on a
  /// logarithmic axis the geometric mean: a perplexity is then that of the mean loss.
  fileprivate init(mean rows: ArraySlice<TrainingPoint>, after before: TrainingPoint?, _ metrics: [Metric]) {
    self = rows[rows.endIndex - 1]
    if rows.count == 1 { return }
    var means = metrics.map { _ in WeightedMean() }
    var norms = WeightedMean()
    var (seconds, timedTokens) = (0.0, 0)
    var (lastStep, lastTokens) = (before?.step ?? 0, before?.tokens ?? 0)
    for row in rows {
      for (index, metric) in metrics.enumerated() {
        let value = row[metric.name]
        means[index].add(metric.scale == .logarithmic ? log(value) : value, Double(row.step - lastStep))
      }
      norms.add(row.gradientNorm, Double(row.step - lastStep))
      if row.tokensPerSecond.isFinite, row.tokensPerSecond > 0 {
        seconds += Double(row.tokens - lastTokens) / row.tokensPerSecond
        timedTokens += row.tokens - lastTokens
      }
      (lastStep, lastTokens) = (row.step, row.tokens)
    }
    for (metric, mean) in zip(metrics, means) {
      self.metrics[metric.name] = metric.scale == .logarithmic ? exp(mean.value) : mean.value
    }
    gradientNorm = norms.value
    if seconds > 0 { tokensPerSecond = Double(timedTokens) / seconds }
  }

  /// Of what is finite: a step that was skipped has no loss. Not a number where nothing is.
  private struct WeightedMean {
    private var sum = 0.0
    private var weight = 0.0
    mutating func add(_ value: Double, _ steps: Double) {
      guard value.isFinite else { return }
      sum += value * steps
      weight += steps
    }
    var value: Double { sum / weight }
  }
}
