import Foundation
import TestSupport
import Testing

@testable import Checkpoints

/// Curves of a bounded size that still tell how a run has gone.
@Suite struct CurvesTests {
  private func point(_ step: Int, stepsPerEpoch: Int = 1000) -> TrainingPoint {
    let loss = 1 + 5 / Double(step).squareRoot()
    return TrainingPoint(
      step: step, epoch: 1 + (step - 1) / stepsPerEpoch, tokens: 120 * step,
      metrics: ["loss": loss, "perplexity": exp(loss)],
      learningRate: 0.002, gradientNorm: Double(step % 7), tokensPerSecond: step.isMultiple(of: 2) ? 1000 : 3000)
  }

  private func curves(steps: ClosedRange<Int>, from start: Curves = Curves(), most: Int, stepsPerEpoch: Int) -> Curves {
    var curves = start
    for step in steps {
      curves.training.append(point(step, stepsPerEpoch: stepsPerEpoch))
      curves.thinTraining(most: most)
    }
    return curves
  }

  @Test(arguments: [1, 7, 1000, 1_000_000]) func rowsAreBoundedAndMeans(stepsPerEpoch: Int) {
    let steps = 50_000
    var curves = Curves()
    var most = 0
    for step in 1...steps {
      curves.training.append(point(step, stepsPerEpoch: stepsPerEpoch))
      curves.thinTraining(most: 200)
      most = max(most, curves.training.count)
    }
    #expect(most == 200 && curves.training.count > 50)
    #expect(curves.training.last == point(steps, stepsPerEpoch: stepsPerEpoch))
    #expect(zip(curves.training, curves.training.dropFirst()).allSatisfy { $0.step < $1.step })

    // Sums are kept, and no part of the run is much coarser than another.
    var (before, loss, norm, seconds, longest) = (0, 0.0, 0.0, 0.0, 0)
    for row in curves.training {
      loss += row["loss"] * Double(row.step - before)
      norm += row.gradientNorm * Double(row.step - before)
      seconds += Double(120 * (row.step - before)) / row.tokensPerSecond
      longest = max(longest, row.step - before)
      before = row.step
      #expect(row.tokens == 120 * row.step && abs(row["perplexity"] - exp(row["loss"])) < 1e-9)
      #expect(row.epoch == 1 + (row.step - 1) / stepsPerEpoch)
    }
    let all = (1...steps).map { point($0, stepsPerEpoch: stepsPerEpoch) }
    #expect(abs(loss - all.reduce(0) { $0 + $1["loss"] }) < 1e-6)
    #expect(abs(norm - all.reduce(0) { $0 + $1.gradientNorm }) < 1e-6)
    #expect(abs(seconds - all.reduce(0) { $0 + 120 / $1.tokensPerSecond }) < 1e-6)
    #expect(longest <= steps / 50 + 1)
  }

  @Test func rowsEndWithTheirEpochs() {
    let curves = curves(steps: 1...20_000, most: 200, stepsPerEpoch: 1000)
    let ends = Set(curves.training.map(\.step))
    #expect((1...20).allSatisfy { ends.contains($0 * 1000) })
  }

  @Test func belowTheBoundNothingChanges() {
    let curves = curves(steps: 1...200, most: 200, stepsPerEpoch: 50)
    #expect(curves.training == (1...200).map { point($0, stepsPerEpoch: 50) })
  }

  @Test func aResumedRunHasTheSameRows() throws {
    let folder = try TemporaryFolder()
    let whole = curves(steps: 1...3000, most: 100, stepsPerEpoch: 170)
    for stop in [99, 100, 101, 176, 1000, 2999] {
      try curves(steps: 1...stop, most: 100, stepsPerEpoch: 170).save(to: folder.file("curves.h5"))
      let rest = curves(
        steps: stop + 1...3000, from: try Curves(path: folder.file("curves.h5")), most: 100, stepsPerEpoch: 170)
      #expect(rest == whole, "stopped after \(stop)")
    }
  }

  @Test func aSkippedStepSpoilsNoMean() {
    var curves = Curves()
    for step in 1...1000 {
      var row = point(step)
      if step.isMultiple(of: 100) { (row.metrics, row.gradientNorm) = (["loss": .nan, "perplexity": .nan], .infinity) }
      curves.training.append(row)
      curves.thinTraining(most: 100)
    }
    // Rows that are still single steps are as they were.
    #expect(curves.training.count { !$0["loss"].isFinite || !$0.gradientNorm.isFinite } <= 1)
  }

  @Test func theBestEvaluationStays() {
    var curves = Curves()
    for step in 1...10_000 {
      let loss = step == 137 ? 0.5 : 1 + 1 / Double(step)
      curves.validation.append(
        ValidationPoint(step: step, epoch: step / 10, metrics: ["loss": loss, "perplexity": exp(loss)]))
      curves.thinValidation(most: 60)
    }
    #expect(curves.validation.count <= 60 && curves.validation.count >= 15)
    #expect(curves.validation.contains { $0.step == 137 && $0["loss"] == 0.5 })
    #expect(curves.validation.last?.step == 10_000)
  }

  @Test func theLimitIsTwentyThousand() {
    var curves = Curves()
    for step in 1...30_001 {
      curves.append(point(step))
      curves.append(ValidationPoint(step: step, epoch: 0, metrics: ["loss": 1, "perplexity": exp(1)]))
    }
    #expect(curves.training.count <= Curves.mostRows && curves.validation.count <= Curves.mostRows)
    #expect(curves.training.count > Curves.mostRows / 4)
  }

  /// Sums of the epoch under way: in the file, and lacking in older ones.
  @Test func theEpochIsKept() throws {
    let folder = try TemporaryFolder()
    var curves = Curves()
    try curves.save(to: folder.file("curves.h5"))
    #expect(try Curves(path: folder.file("curves.h5")).epoch == nil)
    curves.epoch = PartialPoint()
    curves.epoch?.steps = 3
    curves.epoch?.loss = 4.5
    try curves.save(to: folder.file("curves.h5"))
    #expect(try Curves(path: folder.file("curves.h5")) == curves)
  }
}
