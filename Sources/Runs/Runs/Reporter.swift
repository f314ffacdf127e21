/// Where a run's events go.
public protocol Reporter: AnyObject {
  func report(_ event: RunEvent)
}

/// Says nothing: every rank but the first.
public final class SilentReporter: Reporter {
  public init() {}
  public func report(_ event: RunEvent) {}
}

/// Tells two.
public final class ReporterPair: Reporter {
  private let first: any Reporter
  private let second: any Reporter

  public init(_ first: any Reporter, _ second: any Reporter) {
    self.first = first
    self.second = second
  }

  public func report(_ event: RunEvent) {
    first.report(event)
    second.report(event)
  }
}
