import Glibc

/// The learning rate of a step, from nothing but where the run stands.
public struct LearningRateSchedule: Equatable, Sendable {
  public let configuration: ScheduleConfiguration
  /// The optimizer's rate, before any schedule.
  public let baseRate: Double
  public let stepsPerEpoch: Int
  public let epochs: Int

  public init(_ configuration: ScheduleConfiguration, baseRate: Double, stepsPerEpoch: Int, epochs: Int) {
    self.configuration = configuration
    self.baseRate = baseRate
    self.stepsPerEpoch = stepsPerEpoch
    self.epochs = epochs
  }

  /// Rate of step `step`, counted from 0 over the whole run. `reductions` is how often a plateau was met.
  public func rate(step: Int, reductions: Int) -> Double {
    let c = configuration
    let epoch = step / max(stepsPerEpoch, 1)
    switch c.kind {
    case .constant:
      return baseRate
    case .step:
      // Zaremba et al. 2014: full for some epochs, then multiplied before each further one.
      return baseRate * pow(c.factor, Double(max(0, epoch + 1 - c.fullEpochs)))
    case .exponential:
      return baseRate * pow(c.factor, Double(step) / Double(max(stepsPerEpoch, 1)))
    case .cosine:
      // Loshchilov and Hutter 2017, without restarts, after a linear rise.
      if step < c.warmupSteps { return baseRate * Double(step + 1) / Double(c.warmupSteps) }
      let total = max(stepsPerEpoch * epochs - c.warmupSteps, 1)
      let part = min(1, Double(step - c.warmupSteps) / Double(total))
      return c.minimumRate + (baseRate - c.minimumRate) * (1 + cos(Double.pi * part)) / 2
    case .plateau:
      return max(c.minimumRate, baseRate * pow(c.factor, Double(reductions)))
    }
  }
}
