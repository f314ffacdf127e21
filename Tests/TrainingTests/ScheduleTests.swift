import Foundation
import Testing
import Training

@Suite struct ScheduleTests {
  private func schedule(_ kind: ScheduleConfiguration.Kind, _ change: (inout ScheduleConfiguration) -> Void = { _ in })
    -> LearningRateSchedule
  {
    var configuration = ScheduleConfiguration(kind: kind)
    change(&configuration)
    return LearningRateSchedule(configuration, baseRate: 2, stepsPerEpoch: 10, epochs: 5)
  }

  private func rates(_ schedule: LearningRateSchedule, _ steps: [Int], reductions: Int = 0) -> [Double] {
    steps.map { schedule.rate(step: $0, reductions: reductions) }
  }

  @Test func constantStays() {
    #expect(rates(schedule(.constant), [0, 9, 49], reductions: 3) == [2, 2, 2])
  }

  @Test func stepIsFullForSomeEpochsAndThenFallsEachEpoch() {
    let zaremba = schedule(.step) {
      $0.fullEpochs = 2
      $0.factor = 0.5
    }
    #expect(rates(zaremba, [0, 19, 20, 29, 30, 49]) == [2, 2, 1, 1, 0.5, 0.25])
  }

  @Test func exponentialFallsByTheFactorOverAnEpoch() {
    let found = rates(schedule(.exponential) { $0.factor = 0.25 }, [0, 5, 10, 20])
    for (found, expected) in zip(found, [2, 1, 0.5, 0.125]) { #expect(abs(found - expected) < 1e-12) }
  }

  @Test func cosineRisesAndFalls() {
    let cosine = schedule(.cosine) {
      $0.warmupSteps = 10
      $0.minimumRate = 0.5
    }
    let found = rates(cosine, [0, 4, 9, 10, 30, 50, 90])
    for (found, expected) in zip(found, [0.2, 1, 2, 2, 1.25, 0.5, 0.5]) { #expect(abs(found - expected) < 1e-12) }
  }

  @Test func plateauFallsWhenToldTo() {
    let plateau = schedule(.plateau) {
      $0.factor = 0.1
      $0.minimumRate = 0.01
    }
    #expect(abs(plateau.rate(step: 40, reductions: 0) - 2) < 1e-12)
    #expect(abs(plateau.rate(step: 0, reductions: 2) - 0.02) < 1e-12)
    #expect(plateau.rate(step: 0, reductions: 9) == 0.01)
  }
}
